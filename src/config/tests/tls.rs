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
