//! Each kind of credentials, and where they are found.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use serin::google::Tokens;

use super::{Google, bearer, openssl, person, shown, token};

#[tokio::test]
async fn a_service_account_signs_for_its_token_and_keeps_it() {
    let google = Google::start(|_, earlier| token(&format!("token-{earlier}"))).await;
    let (key, public) = google.key();
    let url = format!("{}/token", google.url);
    let tokens = google.tokens(&json!({
        "type": "service_account", "project_id": "p", "private_key_id": "id-of-key",
        "private_key": key, "client_email": "serin@p.iam.gserviceaccount.com", "token_uri": url,
    }));
    let tokens = tokens.unwrap();
    assert_eq!(bearer(&tokens).await, "token-0");
    assert_eq!(bearer(&tokens).await, "token-0", "it is kept");

    let asked = google.asked();
    assert_eq!(asked.len(), 1);
    let grant = &asked[0].members["grant_type"];
    assert_eq!(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let assertion: Vec<&str> = asked[0].members["assertion"].split('.').collect();
    let part = |at: usize| BASE64_URL_SAFE_NO_PAD.decode(assertion[at]).unwrap();
    let header: Value = serde_json::from_slice(&part(0)).unwrap();
    assert_eq!(
        header,
        json!({"alg": "RS256", "typ": "JWT", "kid": "id-of-key"})
    );
    let claims: Value = serde_json::from_slice(&part(1)).unwrap();
    assert_eq!(claims["iss"], "serin@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], url);
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
    let (issued, ends) = (
        claims["iat"].as_i64().unwrap(),
        claims["exp"].as_i64().unwrap(),
    );
    assert_eq!(ends - issued, 3600);
    let signed = google.write("signed", format!("{}.{}", assertion[0], assertion[1]));
    let signature = google.write("signature", part(2));
    let (public, signature) = (shown(&public), shown(&signature));
    openssl(&[
        "dgst",
        "-sha256",
        "-verify",
        public,
        "-signature",
        signature,
        shown(&signed),
    ]);
}

#[tokio::test]
async fn a_workload_of_another_cloud_exchanges_its_identity() {
    let google = Google::start(|asked, _| match asked.path.as_str() {
        "/identity" => (200, json!({"value": "of-provider"})),
        "/sts" => token("federated"),
        _ => (
            200,
            json!({"accessToken": "of-account", "expireTime": "2100-01-01T00:00:00Z"}),
        ),
    })
    .await;
    let url = &google.url;
    let file = google.write("identity", "of-provider\n");
    let identity = format!("{url}/identity");
    let sources = [
        json!({"file": file}),
        json!({"url": identity, "headers": {"authorization": "me"}, "format": {"type": "json", "subject_token_field_name": "value"}}),
    ];
    for source in sources {
        let mut credentials = json!({
            "type": "external_account", "audience": "//iam.googleapis.com/pool/provider",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{url}/sts"), "credential_source": source,
        });
        let tokens = google.tokens(&credentials).unwrap();
        assert_eq!(bearer(&tokens).await, "federated", "{source}");
        let asked = google.asked();
        let exchanged = &asked.last().unwrap().members;
        assert_eq!(exchanged["subject_token"], "of-provider");
        assert_eq!(exchanged["audience"], "//iam.googleapis.com/pool/provider");

        credentials["service_account_impersonation_url"] = format!("{url}/act").into();
        let tokens = google.tokens(&credentials).unwrap();
        assert_eq!(bearer(&tokens).await, "of-account", "{source}");
        assert_eq!(google.asked().last().unwrap().bearer, "Bearer federated");
    }
    let of_provider = google
        .asked()
        .into_iter()
        .find(|asked| asked.path == "/identity");
    assert_eq!(of_provider.unwrap().bearer, "me");
}

#[tokio::test]
async fn who_is_logged_in_may_act_as_a_service_account() {
    let google = Google::start(|asked, _| match asked.path.as_str() {
        "/token" => token("of-person"),
        _ => (
            200,
            json!({"accessToken": "of-account", "expireTime": "2100-01-01T00:00:00Z"}),
        ),
    })
    .await;
    let person = person(&format!("{}/token", google.url));
    assert_eq!(bearer(&google.tokens(&person).unwrap()).await, "of-person");
    assert_eq!(google.asked()[0].members["refresh_token"], "refresh-token");
    let acting = json!({
        "type": "impersonated_service_account", "delegates": [], "source_credentials": person,
        "service_account_impersonation_url": format!("{}/act", google.url),
    });
    assert_eq!(bearer(&google.tokens(&acting).unwrap()).await, "of-account");
}

#[tokio::test]
async fn without_a_file_those_are_taken_that_googles_tools_would_find() {
    let google = Google::start(|asked, _| token(&asked.path)).await;
    let host = google.url.trim_start_matches("http://").to_owned();
    let person = person(&format!("{}/gcloud", google.url));
    let home = google.folder.path().join("home");
    std::fs::create_dir_all(home.join(".config/gcloud")).unwrap();
    let of_gcloud = home.join(".config/gcloud/application_default_credentials.json");
    std::fs::write(of_gcloud, person.to_string()).unwrap();
    let named = person.to_string().replace("/gcloud", "/named");
    let named = google.write("named.json", named);
    let machine = "/computeMetadata/v1/instance/service-accounts/default/token";
    let cases = [
        (shown(&named), shown(&home), "/named"),
        ("", shown(&home), "/gcloud"),
        ("", "", machine),
    ];
    for (named, home, expected) in cases {
        let environment = [
            ("GOOGLE_APPLICATION_CREDENTIALS", named),
            ("HOME", home),
            ("GCE_METADATA_HOST", host.as_str()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let tokens = Tokens::open(None, &BTreeMap::from(environment)).unwrap();
        assert_eq!(bearer(&tokens).await, expected);
    }
}
