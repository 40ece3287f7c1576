//! `serin accounts check`: what accounts may do, and what is wrong with those that may not.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use serin::config::S3Account;
use serin::storage::objects::ObjectStore;
use serin::storage::s3::S3Store;

use crate::command::{serin, text};
use crate::harness::service;
use crate::s3;
use crate::stand_in::StandIn;

const SECRET: &str = "the-secret-key";

struct Checked {
    code: Option<i32>,
    told: Value,
    /// All that was written.
    text: String,
}

/// With a configuration, and what else is typed.
fn check(kayenta: &Value, typed: &[&str]) -> Checked {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.yml");
    let config = json!({"kayenta": kayenta, "storage": {"directory": folder.path().join("data")}});
    std::fs::write(&file, config.to_string()).unwrap();
    let common = ["accounts", "check", "--config", file.to_str().unwrap()];
    let output = serin(&[&common[..], typed].concat(), "");
    let out = text(&output.stdout);
    Checked {
        code: output.status.code(),
        told: serde_json::from_str(&out).unwrap_or_default(),
        text: out + &text(&output.stderr),
    }
}

impl Checked {
    fn of(&self, name: &str) -> &Value {
        let accounts = self.told["accounts"].as_array().unwrap();
        let found = accounts.iter().find(|account| account["name"] == name);
        found.unwrap_or_else(|| panic!("{name} in {}", self.text))
    }
}

fn bucket(account: &S3Account, secret: &str) -> Value {
    let credentials = account.credentials.as_ref().unwrap();
    json!({"name": format!("s3-{}", account.bucket), "bucket": account.bucket, "endpoint": account.endpoint,
        "explicitCredentials": {"accessKey": credentials.access_key.expose_secret(), "secretKey": secret}})
}

#[tokio::test(flavor = "multi_thread")]
async fn real_services_are_asked_and_nothing_is_left_there() {
    let (Some(prometheus), Some(s3)) = (
        service("SERIN_TEST_PROMETHEUS_URL"),
        service("SERIN_TEST_S3_ENDPOINT"),
    ) else {
        return;
    };
    let account = s3::account(&s3, "asked-by-check");
    let secret = account.credentials.as_ref().unwrap();
    let secret = secret.secret_key.expose_secret().to_owned();
    let kayenta = json!({
        "prometheus": {"enabled": true, "accounts": [{"name": "p", "endpoint": {"baseUrl": prometheus}}]},
        "aws": {"enabled": true, "accounts": [bucket(&account, &secret)]},
        "s3": {"enabled": true},
    });
    let checked = check(&kayenta, &["--json"]);
    assert_eq!(checked.code, Some(0), "{}", checked.text);
    assert_eq!(checked.told["ok"], true);
    assert_eq!(checked.of("p")["may"], json!(["answer", "query"]));
    let store = checked.of("s3-asked-by-check");
    assert_eq!(store["may"], json!(["list", "write", "read", "delete"]));
    assert_eq!(store["wrong"], Value::Null);
    assert!(!checked.text.contains(&secret), "{}", checked.text);
    let left = S3Store::new(account).list("health/").await.unwrap();
    assert_eq!(left, []);

    let table = check(&kayenta, &["p"]).text;
    assert!(
        table.contains("METRICS_STORE") && table.contains("answer, query"),
        "{table}"
    );
    assert!(!table.contains("│ s3-asked-by-check"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_of_a_store_is_told() {
    let Some(endpoint) = service("SERIN_TEST_S3_ENDPOINT") else {
        return;
    };
    let account = s3::account(&endpoint, "refused-to-check");
    let kayenta = json!({
        "aws": {"enabled": true, "accounts": [bucket(&account, SECRET)]},
        "s3": {"enabled": true},
    });
    let checked = check(&kayenta, &["--json"]);
    assert_eq!(checked.code, Some(1), "{}", checked.text);
    let store = checked.of("s3-refused-to-check");
    assert_eq!(store["wrong"]["at"], "list");
    let advice = store["wrong"]["advice"].as_str().unwrap();
    assert!(advice.starts_with("the credentials are refused"), "{store}");
    assert!(!checked.text.contains(SECRET), "{}", checked.text);
}

/// Refuses the key, and says it again.
async fn refusing() -> StandIn {
    let stand_in = StandIn::start().await;
    stand_in.answer(|asked| {
        let key = &asked.headers["dd-api-key"];
        let body = json!({"errors": [format!("no such key: {key}")]}).to_string();
        json!({"status": 403, "headers": {"content-type": "application/json"}, "body": body})
    });
    stand_in
}

/// Answers for its health, and takes no query.
async fn half() -> StandIn {
    let stand_in = StandIn::start().await;
    stand_in.answer(|asked| {
        if asked.path == "/-/healthy" {
            return json!({"status": 200, "body": "healthy"});
        }
        json!({"status": 401, "body": ""})
    });
    stand_in
}

async fn slow() -> StandIn {
    let stand_in = StandIn::start().await;
    stand_in.answer(|_| json!({"status": 200, "body": "", "delay": 60}));
    stand_in
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a table of faults")]
async fn what_is_wrong_is_told_of_each_account_without_its_secrets() {
    let (refusing, half, slow) = (refusing().await, half().await, slow().await);
    let folder = tempfile::tempdir().unwrap();
    let no_folder = folder.path().join("a-file/x");
    std::fs::write(folder.path().join("a-file"), "").unwrap();
    let prometheus = |name: &str, url: &str| json!({"name": name, "bearerToken": SECRET, "endpoint": {"baseUrl": url}});
    let kayenta = json!({
        "prometheus": {"enabled": true, "accounts": [
            prometheus("half", &half.url),
            prometheus("slow", &slow.url),
            prometheus("nobody", "http://127.0.0.1:1"),
            {"name": "no-file", "endpoint": {"baseUrl": half.url}, "caFile": no_folder},
        ]},
        "datadog": {"enabled": true, "accounts": [{"name": "refusing", "apiKey": SECRET,
            "applicationKey": "the-other-key", "endpoint": {"baseUrl": refusing.url}}]},
        "file": {"enabled": true, "accounts": [
            {"name": "well", "directory": folder.path().join("well")},
            {"name": "no-folder", "directory": no_folder},
        ]},
        "remote-judge": {"enabled": true, "endpoint": {"baseUrl": "http://127.0.0.1:1"}},
    });
    let started = std::time::Instant::now();
    let checked = check(&kayenta, &["--json", "--timeout", "2"]);
    assert!(started.elapsed().as_secs() < 30);
    assert_eq!(checked.code, Some(1), "{}", checked.text);
    assert_eq!(checked.told["ok"], false);
    let cases = [
        // the account, what it did, what it did not, why, and what would be right
        (
            "half",
            json!(["answer"]),
            "query",
            "Unauthorized",
            "the credentials are refused",
        ),
        (
            "slow",
            json!([]),
            "answer",
            "no answer within 2 s",
            "is the address right",
        ),
        (
            "nobody",
            json!([]),
            "answer",
            "refused",
            "is the address right",
        ),
        (
            "no-file",
            json!([]),
            "be opened",
            "cannot read caFile",
            "the account cannot be used",
        ),
        (
            "refusing",
            json!([]),
            "answer",
            "no such key: …",
            "the credentials are refused",
        ),
        (
            "no-folder",
            json!([]),
            "be opened",
            "cannot create the folder",
            "are bucket or folder",
        ),
        (
            "RemoteJudge-v1.0",
            json!([]),
            "answer",
            "refused",
            "is the address right",
        ),
    ];
    for (name, may, at, message, advice) in cases {
        let told = checked.of(name);
        assert_eq!(told["may"], may, "{told}");
        let wrong = &told["wrong"];
        assert_eq!(wrong["at"], at, "{told}");
        assert!(
            wrong["message"].as_str().unwrap().contains(message),
            "{told}"
        );
        assert!(
            wrong["advice"].as_str().unwrap().starts_with(advice),
            "{told}"
        );
    }
    assert_eq!(
        checked.of("well")["may"],
        json!(["list", "write", "read", "delete"])
    );
    let table = check(&kayenta, &["--timeout", "2"]);
    assert_eq!(table.code, Some(1));
    for told in [
        "half: cannot query: Unauthorized",
        "is the address right",
        "cannot be opened",
    ] {
        assert!(table.text.contains(told), "{told} in {}", table.text);
    }
    for text in [&checked.text, &table.text] {
        assert!(
            !text.contains(SECRET) && !text.contains("the-other-key"),
            "{text}"
        );
    }
}

#[test]
fn only_what_is_named_is_asked_and_nothing_is_written_where_that_is_not_wished() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let kayenta = json!({"file": {"enabled": true, "accounts": [
        {"name": "one", "directory": one}, {"name": "other", "directory": other}]}});
    let checked = check(&kayenta, &["--json", "--read-only", "one"]);
    assert_eq!(checked.code, Some(0), "{}", checked.text);
    assert_eq!(checked.of("one")["may"], json!(["list"]));
    assert_eq!(checked.told["accounts"].as_array().unwrap().len(), 1);
    assert!(!one.join("kayenta").exists() && !other.exists());

    let unknown = check(&kayenta, &["two"]);
    assert_eq!(unknown.code, Some(64));
    assert!(
        unknown
            .text
            .contains("there is no account 'two'; there are one, other"),
        "{}",
        unknown.text
    );
    let broken = check(&json!({"file": {"enabled": "perhaps"}}), &[]);
    assert_eq!(broken.code, Some(69), "{}", broken.text);
}
