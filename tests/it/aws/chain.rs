//! Where credentials come from. Each case is a process with an environment of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{KEY, SECRET, reply, signed};
use crate::harness::Client;
use crate::secrets::serve;
use crate::stand_in::{Asked, StandIn};

/// Each kind of credentials has a key of its own.
const SECRETS: [(&str, &str); 6] = [
    (KEY, SECRET),
    ("AKIDPROFILE", "secret-of-profile"),
    ("ASIAWEB", "secret-of-web"),
    ("ASIAPOD", "secret-of-pod"),
    ("ASIAMACHINE", "secret-of-machine"),
    ("ASIAROLE", "secret-of-role"),
];

fn secret_of(key: &str) -> &'static str {
    let found = SECRETS.iter().find(|(known, _)| *known == key);
    found.map_or("unknown", |(_, secret)| secret)
}

fn key_of(asked: &Asked) -> Option<&str> {
    let (_, after) = asked
        .headers
        .get("authorization")?
        .split_once("Credential=")?;
    after.split('/').next()
}

fn credentials(key: &str) -> Value {
    json!({
        "Code": "Success", "AccessKeyId": key, "SecretAccessKey": secret_of(key), "Token": "a-session-token",
        "Expiration": "2100-01-01T00:00:00Z",
    })
}

/// STS, the agent of a pod, the metadata of a machine, and CloudWatch, which wants a signature.
fn answer(asked: &Asked) -> Value {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(asked.body.as_bytes())
        .into_owned()
        .collect();
    let action = form.get("Action").map(String::as_str);
    let text = |body: &str| json!({"status": 200, "headers": {"content-type": "text/plain"}, "body": body});
    match (asked.path.as_str(), action) {
        ("/pod", _) if asked.headers["authorization"] == "of-pod" => {
            reply(200, &credentials("ASIAPOD"))
        }
        ("/latest/api/token", _) => {
            let mut token = text("imds-token");
            token["headers"]["x-aws-ec2-metadata-token-ttl-seconds"] = "21600".into();
            token
        }
        ("/latest/meta-data/iam/security-credentials/", _) => text("role-of-machine"),
        ("/latest/meta-data/iam/security-credentials/role-of-machine", _) => {
            reply(200, &credentials("ASIAMACHINE"))
        }
        (_, Some("AssumeRoleWithWebIdentity")) if form["WebIdentityToken"] == "of-cluster" => {
            assumed("AssumeRoleWithWebIdentity", "ASIAWEB")
        }
        (_, Some("AssumeRole"))
            if form["ExternalId"] == "of-team"
                && form["RoleArn"] == "arn:aws:iam::111122223333:role/other"
                && signed(asked, SECRET).is_ok() =>
        {
            assumed("AssumeRole", "ASIAROLE")
        }
        (_, Some("AssumeRole")) => {
            let body = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                        <Code>AccessDenied</Code><Message>may not assume it</Message></Error>\
                        <RequestId>r</RequestId></ErrorResponse>";
            json!({"status": 403, "headers": {"content-type": "text/xml"}, "body": body})
        }
        ("/", None) => {
            let secret = secret_of(key_of(asked).unwrap_or_default());
            match signed(asked, secret) {
                Ok(_) => reply(200, &json!({"MetricDataResults": [], "Metrics": []})),
                Err(why) => reply(403, &json!({"message": why})),
            }
        }
        (path, action) => reply(404, &json!({"message": format!("{path} {action:?}")})),
    }
}

fn assumed(action: &str, key: &str) -> Value {
    let secret = secret_of(key);
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>a-session-token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>\
         <AssumedRoleUser><Arn>arn:aws:sts::111122223333:assumed-role/other/serin</Arn>\
         <AssumedRoleId>A:serin</AssumedRoleId></AssumedRoleUser></{action}Result></{action}Response>"
    );
    json!({"status": 200, "headers": {"content-type": "text/xml"}, "body": body})
}

/// What a process without any credentials of AWS has.
fn alone(command: &mut Command, folder: &Path) {
    let names = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
    ];
    for name in names {
        command.env_remove(name);
    }
    command
        .env("HOME", folder)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("SERIN__STORAGE__DIRECTORY", folder.join("data"))
        .env_remove("SERIN_CONFIG");
}

/// The keys that CloudWatch was asked with, and the answer to a query.
async fn asked_with(member: &str, variables: &[(&str, String)]) -> (Vec<String>, u16, Value) {
    let stand_in = StandIn::start().await;
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    stand_in.answer(move |asked| {
        if asked.headers.contains_key("x-amz-target") {
            let key = key_of(asked).unwrap_or_default();
            seen.lock().unwrap().push(key.to_owned());
        }
        answer(asked)
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "of-cluster").unwrap();
    std::fs::write(folder.path().join("of-pod"), "of-pod").unwrap();
    let profile =
        "[other]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = secret-of-profile\n";
    std::fs::write(folder.path().join("credentials"), profile).unwrap();
    let file = folder.path().join("serin.yml");
    let url = &stand_in.url;
    let member = member.replace("<url>", url);
    let yaml = format!(
        "kayenta:\n  cloudwatch:\n    enabled: true\n    accounts:\n      \
         - {{name: c, region: eu-central-1, endpoint: {{baseUrl: '{url}'}}{member}}}\n"
    );
    std::fs::write(&file, yaml).unwrap();
    let (mut child, served) = serve(&file, |command, folder| {
        alone(command, folder);
        for (name, value) in variables {
            let value = value.replace("<url>", url);
            command.env(name, value.replace("<folder>", folder.to_str().unwrap()));
        }
    });
    let path = "/fetch/cloudwatch/query?metricSetName=m&namespace=N&metricName=m&scope=v1&step=3600\
                &start=2026-06-01T00:00:00Z&end=2026-06-01T12:00:00Z";
    let (status, told) = Client::new(&served).post(path, &json!({})).await;
    let id = child.id().to_string();
    Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(child.wait().unwrap().success());
    let keys = keys.lock().unwrap().clone();
    (keys, status, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_found_where_the_tools_of_aws_find_them() {
    let of = |name: &'static str, value: &str| (name, value.to_owned());
    let environment = [
        of("AWS_ACCESS_KEY_ID", KEY),
        of("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    let role = ", roleArn: 'arn:aws:iam::111122223333:role/other', externalId: of-team, stsEndpoint: '<url>'";
    let cases = [
        ("environment", "", environment.to_vec(), KEY),
        (
            "profile",
            ", profileName: other",
            vec![of("AWS_SHARED_CREDENTIALS_FILE", "<folder>/credentials")],
            "AKIDPROFILE",
        ),
        (
            "web identity, as IRSA has it",
            "",
            vec![
                of("AWS_WEB_IDENTITY_TOKEN_FILE", "<folder>/token"),
                of("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/cluster"),
                of("AWS_ENDPOINT_URL_STS", "<url>"),
            ],
            "ASIAWEB",
        ),
        (
            "container, as Pod Identity has it",
            "",
            vec![
                of("AWS_CONTAINER_CREDENTIALS_FULL_URI", "<url>/pod"),
                of("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "<folder>/of-pod"),
            ],
            "ASIAPOD",
        ),
        (
            "machine",
            "",
            vec![
                of("AWS_EC2_METADATA_DISABLED", "false"),
                of("AWS_EC2_METADATA_SERVICE_ENDPOINT", "<url>"),
            ],
            "ASIAMACHINE",
        ),
        ("role", role, environment.to_vec(), "ASIAROLE"),
    ];
    for (name, member, variables, expected) in cases {
        let (keys, status, told) = asked_with(member, &variables).await;
        assert_eq!(status, 200, "{name}: {told}");
        assert_eq!(keys, [expected], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_from_credentials_is_told() {
    let (keys, status, told) = asked_with("", &[]).await;
    assert!(keys.is_empty());
    let told = told["message"].as_str().unwrap().to_owned();
    assert!(
        status != 200 && told.contains("no credentials of AWS"),
        "{status}: {told}"
    );

    let of = |name: &'static str, value: &str| (name, value.to_owned());
    let environment = [
        of("AWS_ACCESS_KEY_ID", KEY),
        of("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    let role = ", roleArn: 'arn:aws:iam::111122223333:role/none', externalId: of-team, stsEndpoint: '<url>'";
    let (keys, _, told) = asked_with(role, &environment).await;
    assert!(keys.is_empty());
    let told = told["message"].as_str().unwrap().to_owned();
    assert!(told.contains("role/none' cannot be assumed"), "{told}");
    assert!(
        told.contains("AccessDenied") && told.contains("may not assume it"),
        "{told}"
    );
    assert!(!told.contains(SECRET), "{told}");
}
