use super::*;

#[test]
fn tls_is_asked_for_as_it_is_meant() {
    let cases = [
        ("{}", None),
        ("{certFile: a, keyFile: b}", Some(None)),
        (
            "{certFile: a, keyFile: b, clientCaFile: c}",
            Some(Some(true)),
        ),
        (
            "{certFile: a, keyFile: b, clientCaFile: c, clientCertificates: optional}",
            Some(Some(false)),
        ),
        (
            "{certFile: a, keyFile: b, clientCaFile: c, clientCertificates: none}",
            Some(None),
        ),
    ];
    for (keys, expected) in cases {
        let loaded = load_text(&format!("server: {{tls: {keys}}}"), &[]).unwrap();
        let tls = loaded.config.server.tls;
        let asked = tls.map(|tls| tls.clients.map(|clients| clients.required));
        assert_eq!(asked, expected, "{keys}");
    }
    let mistakes = [
        (
            "tls: {certFile: a}",
            "server.tls.certFile and keyFile go together: give both or none",
        ),
        (
            "tls: {clientCaFile: c}",
            "server.tls.certFile and keyFile must be given: without TLS nobody is asked for a certificate",
        ),
        (
            "tls: {certFile: a, keyFile: b, clientCertificates: required}",
            "server.tls.clientCaFile must be given: who signs the certificates that clients are asked for",
        ),
        (
            "tls: {certFile: a, keyFile: b, clientCertificates: needed}",
            "server.tls.clientCertificates (in serin.yml) is 'needed': must be 'none', 'optional' or 'required'",
        ),
        (
            "adminAddress: 8091",
            "server.adminAddress (in serin.yml) is '8091': must be an address and a port, as in '127.0.0.1:8091' or '[::1]:8091'",
        ),
    ];
    for (keys, expected) in mistakes {
        assert_eq!(mistake(&format!("server: {{{keys}}}")), expected, "{keys}");
    }
}

#[test]
fn what_spring_has_in_pem_is_served() {
    let pem = "certificate: 'file:/a.pem', certificate-private-key: /a.key";
    let cases = [
        // server.ssl                                          server.tls, as it is shown; none, where it is off
        ("{}", None),
        ("{enabled: false, key-store: a.p12}", None),
        (
            "{PEM}",
            Some("{certFile: /a.pem, keyFile: /a.key, clientCaFile: , clientCertificates: }"),
        ),
        (
            "{enabled: true, PEM, trustCertificate: 'file:///ca.pem', keyStore: unused.p12}",
            Some("{certFile: /a.pem, keyFile: /a.key, clientCaFile: , clientCertificates: }"),
        ),
        (
            "{PEM, trustCertificate: /ca.pem, clientAuth: WANT, enabledProtocols: [TLSv1.2, TLSv1.3]}",
            Some(
                "{certFile: /a.pem, keyFile: /a.key, clientCaFile: /ca.pem, clientCertificates: optional}",
            ),
        ),
        (
            "{PEM, trust-certificate: /ca.pem, client-auth: need}",
            Some(
                "{certFile: /a.pem, keyFile: /a.key, clientCaFile: /ca.pem, clientCertificates: required}",
            ),
        ),
    ];
    for (keys, expected) in cases {
        let text = format!("server: {{ssl: {}}}", keys.replace("PEM", pem));
        let loaded = load_text(&text, &[]).unwrap();
        assert_eq!(loaded.warnings, [""; 0], "{keys}");
        let shown = &loaded.effective["server"];
        assert!(shown.get("ssl").is_none(), "{keys}");
        match expected {
            None => assert!(loaded.config.server.tls.is_none(), "{keys}"),
            Some(expected) => {
                let expected: Json = yaml_serde::from_str(expected).unwrap();
                assert_eq!(shown["tls"], expected, "{keys}");
            }
        }
        let again = load_text(&print(&loaded.effective), &[]).unwrap();
        let asked = |tls: Option<&Tls>| {
            let clients = tls.and_then(|tls| tls.clients.as_ref());
            clients.map(|clients| clients.required)
        };
        let (tls, read_again) = (
            loaded.config.server.tls.as_ref(),
            again.config.server.tls.as_ref(),
        );
        assert_eq!(asked(read_again), asked(tls), "{keys}");
        assert_eq!(read_again.is_some(), tls.is_some(), "{keys}");
    }
    // serin's own counts where both are there, as who has a key store writes them.
    let both = "server: {ssl: {key-store: a.p12, enabled: true}, tls: {certFile: b, keyFile: c}}";
    let loaded = load_text(both, &[]).unwrap();
    assert_eq!(loaded.warnings, [""; 0]);
    let own = loaded.config.server.tls.unwrap().own;
    assert_eq!(own.certificate, PathBuf::from("b"));
    let less = format!("server: {{ssl: {{{pem}, enabled-protocols: TLSv1.3, ciphers: A}}}}");
    let warnings = load_text(&less, &[]).unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "server.ssl.enabled-protocols is not heeded: serin speaks TLSv1.2 and TLSv1.3",
            "server.ssl.ciphers is not served by serin and is ignored",
        ]
    );
}

/// Where TLS is asked for, there is no serin without it.
#[test]
fn what_spring_has_otherwise_stops_the_start_with_the_way_out() {
    let cases = [
        // server.ssl                                        what is told
        (
            "{keyStore: /k.p12, keyStorePassword: secret}",
            vec![
                "server.ssl.key-store is '/k.p12', and serin reads PEM: it does not start",
                "'openssl pkcs12 -nodes -in /k.p12 -out serin.pem'",
                "server.tls.certFile and server.tls.keyFile",
            ],
        ),
        (
            "{enabled: true, key-store: 'file:/k.jks', client-auth: need, trust-store: /t.jks}",
            vec![
                "'keytool -importkeystore -srckeystore /k.jks -destkeystore serin.p12 -deststoretype PKCS12'",
                "'openssl pkcs12 -nodes -in serin.p12 -out serin.pem'",
                "server.tls.clientCertificates: required",
                "'keytool -list -rfc -keystore /t.jks > ca.pem'",
            ],
        ),
        (
            "{key-store: /k.store, key-store-type: pkcs12}",
            vec!["'openssl pkcs12 -nodes -in /k.store"],
        ),
        (
            "{bundle: web}",
            vec!["server.ssl.bundle names what spring.ssl has"],
        ),
        (
            "{enabled: true}",
            vec!["server.ssl.certificate and certificate-private-key must be given"],
        ),
        (
            "{client-auth: need, trust-certificate: /ca.pem}",
            vec!["server.ssl.certificate and certificate-private-key must be given"],
        ),
        (
            "{key-alias: a}",
            vec!["server.ssl.certificate and certificate-private-key must be given"],
        ),
        (
            "{certificate: /a.pem}",
            vec!["server.ssl.certificate and certificate-private-key must be given"],
        ),
        (
            "{certificate: 'classpath:a.pem', certificate-private-key: /a.key}",
            vec!["server.ssl.certificate must be the path of a file: serin has no class path"],
        ),
        (
            "{certificate: /a.pem, certificate-private-key: /a.key, client-auth: want, trust-store: /t.p12}",
            vec![
                "server.ssl.trust-certificate must be given",
                "'keytool -list -rfc -keystore /t.p12 > ca.pem'",
            ],
        ),
        (
            "{certificate: /a.pem, certificate-private-key: /a.key, client-auth: maybe}",
            vec!["must be 'none', 'want' or 'need'"],
        ),
    ];
    for (keys, expected) in cases {
        let told = mistake(&format!("server: {{ssl: {keys}}}"));
        for part in expected {
            assert!(told.contains(part), "{keys}: {part} in {told}");
        }
        assert!(!told.contains("secret"), "{told}");
    }
    let key = "-----BEGIN PRIVATE KEY----- MIIsecret";
    let told = mistake(&format!(
        "server: {{ssl: {{certificate: /a.pem, certificate-private-key: '{key}'}}}}"
    ));
    assert!(
        told.contains("must be the path of a file") && !told.contains("MII"),
        "{told}"
    );
}
