//! TLS, certificates of clients, and the address of operators.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use reqwest::{Certificate, ClientBuilder, Identity, Version};
use serde_json::json;
use serin::clock::Clock;
use tempfile::TempDir;

use crate::harness::{Client, Serin, answer};

#[derive(Clone, Copy, PartialEq)]
enum Lasts {
    Yes,
    No,
    Seconds(u64),
}

/// Whether clients are asked for certificates.
#[derive(Clone, Copy, PartialEq)]
enum Asks {
    Yes,
    No,
}

/// Who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// The key and the certificate.
    fn sign(&self, name: &str, lasts: Lasts) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![
            SanType::IpAddress([127, 0, 0, 1].into()),
            SanType::DnsName(name.try_into().unwrap()),
        ];
        match lasts {
            Lasts::Yes => {}
            Lasts::No => params.not_after = rcgen::date_time_ymd(2020, 1, 1),
            Lasts::Seconds(seconds) => {
                let now = Clock::System.now_millis().unsigned_abs();
                let end = Duration::from_millis(now) + Duration::from_secs(seconds);
                params.not_after = rcgen::date_time_ymd(1970, 1, 1) + end;
            }
        }
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.0).unwrap();
        (key.serialize_pem(), signed.pem())
    }

    fn client(&self) -> ClientBuilder {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = Certificate::from_pem(self.0.pem().as_bytes()).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([root])
            .timeout(Duration::from_secs(10))
    }
}

struct Secured {
    serin: Serin,
    authority: Authority,
    files: TempDir,
}

impl Secured {
    async fn start(asks: Asks, keys: &[(&str, &str)]) -> Self {
        Self::start_with(asks, keys, None).await
    }

    async fn start_with(asks: Asks, keys: &[(&str, &str)], rules: Option<&str>) -> Self {
        let authority = Authority::new("serin test authority");
        let files = tempfile::tempdir().unwrap();
        write_pair(files.path(), &authority.sign("localhost", Lasts::Yes));
        std::fs::write(files.path().join("ca.pem"), authority.0.pem()).unwrap();
        let at = |name: &str| files.path().join(name).display().to_string();
        let (certificate, key, ca) = (at("serin.pem"), at("serin.key"), at("ca.pem"));
        let mut all = vec![
            ("server.tls.certFile", certificate.as_str()),
            ("server.tls.keyFile", key.as_str()),
        ];
        if asks == Asks::Yes {
            all.push(("server.tls.clientCaFile", &ca));
        }
        all.extend(keys);
        let serin = Serin::start_with("", &all, rules).await;
        Self {
            serin,
            authority,
            files,
        }
    }

    fn client(&self) -> ClientBuilder {
        self.authority.client()
    }

    fn shows(&self, (key, certificate): &(String, String)) -> ClientBuilder {
        let identity = Identity::from_pem(format!("{key}{certificate}").as_bytes());
        self.client().identity(identity.unwrap())
    }

    async fn judges(&self, client: ClientBuilder) -> Result<u16, String> {
        let url = format!("{}/judges", self.serin.client.url);
        let sent = client.build().unwrap().get(url).send().await;
        sent.map(|answer| answer.status().as_u16())
            .map_err(|cause| format!("{cause:?}"))
    }
}

fn write_pair(folder: &Path, (key, certificate): &(String, String)) {
    std::fs::write(folder.join("serin.key"), key).unwrap();
    std::fs::write(folder.join("serin.pem"), certificate).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_http_are_spoken_over_tls() {
    let secured = Secured::start(Asks::No, &[]).await;
    assert!(secured.serin.client.url.starts_with("https://"));
    let cases = [
        (secured.client(), Version::HTTP_2),
        (secured.client().http1_only(), Version::HTTP_11),
        (
            secured
                .client()
                .tls_version_max(reqwest::tls::Version::TLS_1_2),
            Version::HTTP_2,
        ),
    ];
    for (client, expected) in cases {
        let url = format!("{}/judges", secured.serin.client.url);
        let answer = client.build().unwrap().get(url).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.version()),
            (200, expected)
        );
    }
    let stranger = Authority::new("another").client();
    let refused = secured.judges(stranger).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_client_is_verified() {
    let stranger = Authority::new("another");
    for (asked, without) in [("required", false), ("optional", true)] {
        let secured = Secured::start(Asks::Yes, &[("server.tls.clientCertificates", asked)]).await;
        let own = &secured.authority;
        let cases = [
            ("right", secured.shows(&own.sign("orca", Lasts::Yes)), true),
            (
                "wrong CA",
                secured.shows(&stranger.sign("orca", Lasts::Yes)),
                false,
            ),
            (
                "expired",
                secured.shows(&own.sign("orca", Lasts::No)),
                false,
            ),
            ("none", secured.client(), without),
        ];
        for (what, client, expected) in cases {
            let answered = secured.judges(client).await;
            assert_eq!(answered.is_ok(), expected, "{asked}, {what}: {answered:?}");
        }
    }
    // Whoever gives an authority and says no more requires it.
    let secured = Secured::start(Asks::Yes, &[]).await;
    assert!(secured.judges(secured.client()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_the_certificate_of_its_client() {
    let secured = Secured::start(Asks::Yes, &[]).await;
    let url = format!("{}/judges", secured.serin.client.url);
    for is_old in [false, true] {
        let client = secured.shows(&secured.authority.sign("orca", Lasts::Seconds(4)));
        let client = if is_old { client.http1_only() } else { client };
        let client = client.build().unwrap();
        assert_eq!(answer(client.get(&url)).await.0, 200);
        let start = Instant::now();
        while client.get(&url).send().await.is_ok() {
            assert!(start.elapsed() < Duration::from_secs(10), "{is_old}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_who_calls() {
    let rules = "access:
  breakGlassToken: serin_Z2xhc3MtdG9rZW4tZm9yLXRoZS10ZXN0cw
  rules:
  - {who: {certificate: CN=orca}, may: [read]}
  - {who: {certificate: gate.*}, may: [read]}
";
    let keys = [("server.tls.clientCertificates", "optional")];
    let secured = Secured::start_with(Asks::Yes, &keys, Some(rules)).await;
    let shown = |name: &str| {
        let pair = secured.authority.sign(name, Lasts::Yes);
        secured.shows(&pair).build().unwrap()
    };
    let nobody = secured.client().build().unwrap();
    let url = format!("{}/canaryConfig", secured.serin.client.url);
    let glass = "serin_Z2xhc3MtdG9rZW4tZm9yLXRoZS10ZXN0cw";
    let config = json!({"id": "seen", "name": "seen", "applications": ["web"], "metrics": []});
    let stored = nobody.post(&url).bearer_auth(glass).json(&config);
    let (status, told) = answer(stored).await;
    assert_eq!(status, 200, "{told}");
    let cases = [
        ("its subject", shown("orca"), None, true),
        ("a name beside it", shown("gate.spinnaker"), None, true),
        ("of nobody", shown("other"), None, false),
        ("none", nobody.clone(), None, false),
        ("a token alone", nobody, Some(glass), true),
        // What is sent counts, and not what is shown beside it.
        (
            "a wrong token",
            shown("orca"),
            Some("serin_bm9ib2R5cy10b2tlbg"),
            false,
        ),
    ];
    for (what, client, token, sees) in cases {
        let asked = client.get(&url);
        let asked = match token {
            Some(token) => asked.bearer_auth(token),
            None => asked,
        };
        let (_, told) = answer(asked).await;
        assert_eq!(told.to_string().contains("seen"), sees, "{what}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_change_are_read_again() {
    let secured = Secured::start(Asks::No, &[]).await;
    let before = secured.client().build().unwrap();
    let url = format!("{}/judges", secured.serin.client.url);
    assert_eq!(answer(before.get(&url)).await.0, 200);

    // A pair that does not fit changes nothing.
    let other = Authority::new("another");
    let (key, certificate) = other.sign("localhost", Lasts::Yes);
    std::fs::write(secured.files.path().join("serin.pem"), &certificate).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(secured.judges(secured.client()).await, Ok(200));

    write_pair(secured.files.path(), &(key, certificate));
    let start = Instant::now();
    while secured.judges(other.client()).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(secured.judges(secured.client()).await.is_err());
    // What is open goes on.
    assert_eq!(answer(before.get(&url)).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_speak_tls_is_told_so_or_left() {
    let secured = Secured::start(Asks::Yes, &[("server.headerTimeout", "1s")]).await;
    let address = secured.serin.client.url.replace("https://", "");
    let half_hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00";
    let cases = [
        (
            &b"GET /judges HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
            "400",
        ),
        (b"", ""),
        (half_hello, ""),
        (b"\x00\x01\x02", ""),
    ];
    for (sent, expected) in cases {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(8)))
            .unwrap();
        stream.write_all(sent).unwrap();
        let start = Instant::now();
        let read = tokio::task::spawn_blocking(move || {
            let mut rest = Vec::new();
            // An alert of TLS may come before the end.
            let _ = stream.read_to_end(&mut rest);
            String::from_utf8_lossy(&rest).into_owned()
        });
        let read = read.await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "{sent:?}");
        assert!(read.contains(expected), "{read}");
        if expected == "400" {
            let (_, body) = read.split_once("\r\n\r\n").unwrap();
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert!(body["message"].as_str().unwrap().contains("https://"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_have_an_address_of_their_own() {
    let plain = Serin::start_with("", &[("server.adminAddress", "127.0.0.1:0")], None).await;
    let operators = Client::new(plain.service.admin_url.as_ref().unwrap());
    let cases = [
        ("/metrics", 404, 200),
        ("/health", 200, 200),
        ("/health/liveness", 200, 200),
        ("/credentials", 200, 404),
        ("/judges", 200, 404),
        ("/ui", 200, 404),
    ];
    for (path, expected, of_operators) in cases {
        assert_eq!(plain.client.get(path).await.0, expected, "{path}");
        assert_eq!(operators.get(path).await.0, of_operators, "{path}");
    }
    let enabled = json!({"enabled": true});
    let path = "/admin/orca/instance/enabled";
    assert_eq!(plain.client.post(path, &enabled).await.0, 404);
    // Who reaches it needs the right all the same.
    assert_eq!(operators.post(path, &enabled).await.0, 403);
    assert_eq!(operators.delete("/credentials/local").await.0, 403);

    let keys = [("server.adminAddress", "127.0.0.1:0")];
    let secured = Secured::start(Asks::Yes, &keys).await;
    let url = secured.serin.service.admin_url.as_ref().unwrap();
    // The probes of a cluster show no certificate.
    let client = secured.client().build().unwrap();
    let (status, _) = answer(client.get(format!("{url}/health/liveness"))).await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_show_a_certificate_too() {
    let secured = Secured::start(Asks::Yes, &[]).await;
    let (key, certificate) = secured.authority.sign("ci", Lasts::Yes);
    let at = |name: &str| secured.files.path().join(name);
    std::fs::write(at("ci.key"), key).unwrap();
    std::fs::write(at("ci.pem"), certificate).unwrap();
    for (own, expected) in [(true, true), (false, false)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
        command
            .args(["canary-config", "list", "--patience", "0s", "--server"])
            .arg(&secured.serin.client.url)
            .arg("--ca-file")
            .arg(at("ca.pem"));
        if own {
            command.arg("--client-certificate").arg(at("ci.pem"));
            command.arg("--client-key").arg(at("ci.key"));
        }
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
        let ended = ended.await.unwrap();
        assert_eq!(ended.status.success(), expected, "{ended:?}");
    }
}
