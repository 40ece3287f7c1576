//! What is told where there is no token.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin::google::Tokens;

use super::{Google, person, shown, token};

#[tokio::test]
async fn what_keeps_a_token_from_being_had_is_told_without_what_is_secret() {
    let said = json!({"error": "invalid_grant", "error_description": "refresh-token was revoked"});
    let google = Google::start(move |_, _| (400, said.clone())).await;
    let failed = google
        .tokens(&person(&google.url))
        .unwrap()
        .bearer()
        .await
        .unwrap_err();
    assert_eq!(
        failed.why,
        "127.0.0.1 answers 400 Bad Request: … was revoked"
    );
    assert!(!failed.may_pass);
    assert_eq!(google.asked().len(), 1, "it is not asked again");

    let away = person("http://127.0.0.1:9");
    let failed = google.tokens(&away).unwrap().bearer().await.unwrap_err();
    assert!(
        failed.may_pass && failed.why.contains("Connection refused"),
        "{failed:?}"
    );
}

/// A workload of another cloud, which may act as a service account.
fn workload(url: &str, source: &Value) -> Value {
    json!({
        "type": "external_account", "audience": "a", "subject_token_type": "jwt",
        "token_url": format!("{url}/sts"), "credential_source": source,
        "client_id": "id", "client_secret": "client-secret",
        "service_account_impersonation_url": format!("{url}/act"),
    })
}

#[tokio::test]
async fn what_was_sent_in_headers_is_not_told_either() {
    let secrets = "of-provider client-secret of-workload key-of-header";
    // Which request is refused.
    for refused in ["/identity", "/sts", "/act"] {
        let google = Google::start(move |asked, _| match asked.path.as_str() {
            path if path == refused => (403, json!({"error": {"message": secrets}})),
            "/identity" => (200, json!({"value": "of-provider"})),
            _ => token("of-workload"),
        })
        .await;
        let source = json!({
            "url": format!("{}/identity", google.url),
            "headers": {"authorization": "Bearer key-of-header"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        });
        let tokens = google.tokens(&workload(&google.url, &source)).unwrap();
        let told = tokens.bearer().await.unwrap_err().why;
        let sent = match refused {
            "/identity" => "key-of-header",
            "/sts" => "client-secret",
            _ => "of-workload",
        };
        assert!(
            told.contains("403 Forbidden: ") && !told.contains(sent),
            "{refused}: {told}"
        );
    }
}

#[tokio::test]
async fn what_gives_tokens_is_read_to_a_bound() {
    let google = Google::start(|_, _| token("never")).await;
    let endless = format!("{}/endless", google.url);
    let source = json!({"url": endless});
    for credentials in [person(&endless), workload(&google.url, &source)] {
        let began = Instant::now();
        let failed = google.tokens(&credentials).unwrap().bearer().await;
        let failed = failed.unwrap_err();
        let told = "127.0.0.1 answers with more than 4 MiB";
        assert!(failed.why.ends_with(told), "{failed}");
        assert!(!failed.may_pass && began.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_file_that_can_never_do_is_told_with_what_is_wrong_in_it() {
    let google = Google::start(|_, _| token("never")).await;
    let acting = |source: Value| {
        json!({
            "type": "impersonated_service_account", "source_credentials": source,
            "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/a",
        })
    };
    let mut aws = workload(&google.url, &json!({"environment_id": "aws1"}));
    let gdch = json!({"type": "gdch_service_account", "private_key": "hunter22"});
    let key = |key: &str| json!({"type": "service_account", "client_email": "a", "private_key": key, "token_uri": "https://b"});
    let mut open = workload("http://sts.googleapis.com", &json!({"file": "/token"}));
    let mut cases = vec![
        (
            json!("hunter22"),
            "it has no type; serin knows service_account, external_account",
        ),
        (
            gdch.clone(),
            "serin does not know its type 'gdch_service_account', but service_account",
        ),
        (key("hunter22"), "its private_key is no key"),
        (
            json!({"type": "service_account", "private_key": "hunter22"}),
            "there is no 'client_email'",
        ),
        (
            json!({"type": "authorized_user", "client_id": ["hunter22"]}),
            "a member is not what its type has there",
        ),
        (aws.clone(), "its credential_source must be a file or a url"),
        (
            person("http://oauth2.googleapis.com/hunter22"),
            "its token_uri must be an address that begins with 'https://'",
        ),
        (
            person("hunter22"),
            "its token_uri must be an address that begins with 'https://'",
        ),
        (open.clone(), "its token_url must be an address"),
    ];
    open["token_url"] = "https://sts.googleapis.com".into();
    cases.push((
        open,
        "its service_account_impersonation_url must be an address",
    ));
    let within: Vec<_> = cases[1..].to_vec();
    aws["credential_source"] = json!({"file": "/token"});
    assert!(google.tokens(&acting(aws)).is_ok());
    for (credentials, expected) in cases {
        let told = google.tokens(&credentials).err().unwrap();
        assert!(told.starts_with("jsonPath: '/"), "{told}");
        assert!(
            told.contains(expected) && !told.contains("hunter22"),
            "{told}"
        );
    }
    for (source, expected) in within {
        let told = google.tokens(&acting(source)).err().unwrap();
        assert!(
            told.contains(expected) && !told.contains("hunter22"),
            "{told}"
        );
    }
    let file = google.write("credentials.json", "{\"hunter22");
    let told = Tokens::open(Some(&file), &BTreeMap::new()).err().unwrap();
    assert!(told.contains("it is no JSON (line 1, column 10)"), "{told}");
}

#[test]
fn a_file_that_is_not_there_is_told_with_who_names_it() {
    let file = Path::new("/nosuch.json");
    let named = [(
        "GOOGLE_APPLICATION_CREDENTIALS".to_owned(),
        shown(file).to_owned(),
    )];
    let cases = [
        (Some(file), BTreeMap::new(), "jsonPath"),
        (
            None,
            BTreeMap::from(named),
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
    ];
    for (file, environment, who) in cases {
        let told = Tokens::open(file, &environment).err().unwrap();
        let expected = format!("{who}: cannot read '/nosuch.json'");
        assert!(told.starts_with(&expected), "{told}");
    }
}
