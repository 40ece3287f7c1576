use super::*;
use crate::access::Role;

const HASH: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

#[test]
fn a_mistake_about_callers_is_told_with_its_place() {
    let token = |keys: &str| {
        format!("tokens: [{{name: ci, sha256: {HASH}}}, {{{keys}}}], rules: [{{may: [admin]}}]")
    };
    let issuer =
        |keys: &str| format!("issuers: [{{name: hub, {keys}}}], rules: [{{may: [admin]}}]");
    let other = "a".repeat(64);
    let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let cases = [
        (
            token(&format!("name: ci, sha256: {other}")),
            "access.tokens[1].name 'ci' stands twice",
        ),
        (
            token(&format!("name: cd, sha256: {HASH}")),
            "access.tokens[1].sha256 is that of another token",
        ),
        (
            token(&format!("name: break-glass, sha256: {other}")),
            "access.tokens[1].name (in serin.yml) is 'break-glass': is the name of access.breakGlassToken",
        ),
        (
            token(&format!("name: 'a:b', sha256: {other}")),
            "access.tokens[1].name (in serin.yml) is 'a:b': must be letters, digits, '-', '_' and '.', 64 at most",
        ),
        (token("name: cd"), "access.tokens[1].sha256 must be given"),
        (
            token("name: cd, sha256: serin_the-token-itself"),
            "access.tokens[1].sha256 must be the SHA-256 of the token, 64 hexadecimal digits: 'serin token new' prints both",
        ),
        (
            token(&format!("name: cd, sha256: {of_nothing}")),
            "access.tokens[1].sha256 is the SHA-256 of nothing",
        ),
        (
            token(&format!("name: cd, sha256: {other}, expires: soon")),
            "access.tokens[1].expires (in serin.yml) is 'soon': must be a day or a time, as in '2027-03-01' or '2027-03-01T12:00:00Z'",
        ),
        (
            "breakGlassToken: hunter2".to_owned(),
            "access.breakGlassToken has 7 characters, too few to be random: at least 20 are wanted; 'serin token new' prints one",
        ),
        (
            format!("tokens: [{{name: ci, sha256: {HASH}}}]"),
            "access.rules must be given: it is known who calls, and nothing says what they may",
        ),
        (
            issuer("issuer: 'https://hub', audience: []"),
            "access.issuers[0].audience must be given: what tokens for serin have as 'aud'; without it, a token for any other service would do",
        ),
        (
            issuer("issuer: 'http://hub', audience: serin"),
            "access.issuers[0].issuer 'http://hub' must begin with 'https://': who changes the answer says who is believed; or give jwksUri",
        ),
        (
            issuer("issuer: 'https://hub', audience: serin, algorithms: [HS256]"),
            "access.issuers[0].algorithms[0] (in serin.yml) is 'HS256': must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA: others are not signed by a key that the issuer alone has",
        ),
        (
            issuer("issuer: 'https://hub', audience: serin, leeway: 1h"),
            "access.issuers[0].leeway (in serin.yml) is '1h': must be 10m at most",
        ),
        (
            "issuers: [{name: user, issuer: 'https://hub', audience: serin}]".to_owned(),
            "access.issuers[0].name (in serin.yml) is 'user': is how serin calls callers of another kind",
        ),
        (
            "issuers: [{name: a, issuer: 'https://hub', audience: a}, {name: b, issuer: 'https://hub', audience: b}]".to_owned(),
            "access.issuers[1].issuer 'https://hub' stands twice; audience takes several",
        ),
        (
            "proxies: [{userHeader: X-User}]".to_owned(),
            "access.proxies[0].addresses must be given: whose headers are believed, as in '10.0.0.0/8'",
        ),
        (
            "proxies: [{addresses: [10.0.0.0/33]}]".to_owned(),
            "access.proxies[0].addresses[0] (in serin.yml) is '10.0.0.0/33': must be addresses, as in '10.0.0.0/8', '10.1.2.3' or 'fd00::/8'",
        ),
        (
            "proxies: [{addresses: 10.0.0.1, groupsHeader: X-Groups}]".to_owned(),
            "access.proxies[0].groupsHeader is for people: give userHeader too",
        ),
    ];
    for (keys, expected) in cases {
        assert_eq!(mistake(&format!("access: {{{keys}}}")), expected, "{keys}");
    }
}

#[test]
fn a_mistake_about_rules_is_told_with_its_place() {
    let rule = |keys: &str| {
        format!("tokens: [{{name: ci, sha256: {HASH}}}], rules: [{{may: [admin]}}, {{{keys}}}]")
    };
    let cases = [
        (
            rule("may: [reed]"),
            "access.rules[1].may[0] (in serin.yml) is 'reed': is no role; did you mean 'read'?",
        ),
        (
            rule("may: [everything]"),
            "access.rules[1].may[0] (in serin.yml) is 'everything': must be one of read, start, config, delete, actions, admin",
        ),
        (
            rule("who: {anonymous: true}"),
            "access.rules[1].may or mayNot must be given: the rule says nothing",
        ),
        (
            rule("may: [read], mayNot: [start, read]"),
            "access.rules[1].mayNot says 'read', and may says it too",
        ),
        (
            rule("may: [admin], applications: [shop]"),
            "access.rules[1].may says 'admin', which is about the process, and not about some applications or accounts: name read, start, config, delete, actions",
        ),
        (
            rule("who: {token: cii}, may: [read]"),
            "access.rules[1].who.token (in serin.yml) is 'cii': fits nothing in access.tokens; did you mean 'ci'?",
        ),
        (
            rule("who: {issuer: github}, may: [read]"),
            "access.rules[1].who.issuer (in serin.yml) is 'github': fits nothing: access.issuers is empty",
        ),
        (
            rule("who: {claims: {repository: a}}, may: [read]"),
            "access.rules[1].who.claims: wants an issuer, and access.issuers has none",
        ),
        (
            rule("who: {user: ada}, may: [read]"),
            "access.rules[1].who.user (in serin.yml) is 'ada': wants people, and nothing tells them: access.login does, or access.proxies with a userHeader",
        ),
        (
            rule("who: {token: ci, anonymous: true}, may: [read]"),
            "access.rules[1].who is about nobody: no caller is known by token and by anonymous; two rules can say it",
        ),
        (
            "issuers: [{name: a, issuer: 'https://a', audience: s}, {name: b, issuer: 'https://b', audience: s}], rules: [{who: {subject: x}, may: [read]}]".to_owned(),
            "access.rules[0].who must name an issuer for its subject or claims: there are a, b",
        ),
        (
            rule("whom: {token: ci}, may: [read]"),
            "unknown key 'access.rules[1].whom' (in serin.yml); did you mean 'who'?",
        ),
    ];
    for (keys, expected) in cases {
        assert_eq!(mistake(&format!("access: {{{keys}}}")), expected, "{keys}");
    }
}

#[test]
fn without_rules_nobody_is_asked_and_the_token_of_the_start_is_no_rule() {
    let loaded = load_text("", &[]).unwrap();
    assert!(loaded.config.access.rules.is_none());
    let given = [("SERIN__ACCESS__BREAK_GLASS_TOKEN", "serin_0123456789abcdef")];
    let loaded = load_text("", &given).unwrap();
    let access = loaded.config.access;
    assert!(access.rules.is_none());
    assert_eq!(
        access.break_glass,
        Some(TokenHash::of("serin_0123456789abcdef"))
    );
    assert_eq!(loaded.effective["access"]["breakGlassToken"], "***");
}

#[test]
fn claims_may_have_dots_in_their_names() {
    let yaml =
        "access: {issuers: [{name: cluster, issuer: 'https://c', audience: serin}], rules: [{
        who: {claims: {sub: 'a*', kubernetes.io.namespace: shop, 'https://example.com/team': b}},
        may: [read]}, {may: [admin]}]}";
    let rules = load_text(yaml, &[]).unwrap().config.access.rules.unwrap();
    let claims = &rules.0[0].who.claims;
    let mut names: Vec<&str> = claims.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["https://example.com/team", "kubernetes.io.namespace", "sub"]
    );
    assert_eq!(claims["kubernetes.io.namespace"], "shop");
}

#[test]
fn rules_without_an_admin_are_a_warning() {
    let loaded = load_text("access: {rules: [{may: [read]}]}", &[]).unwrap();
    assert_eq!(
        loaded.warnings,
        ["access.rules: no rule gives 'admin' to anybody, so nobody has it"]
    );
    assert_eq!(loaded.config.access.rules.unwrap().0[0].may, [Role::Read]);
}

#[test]
fn a_file_of_tokens_has_them_and_nothing_else() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let shown = file.path().display().to_string();
    let read = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        let tokens = read_tokens(file.path());
        tokens.map_err(|Error(message)| message.replace(&shown, "tokens.yml"))
    };
    let tokens = read(&format!(
        "tokens:\n- name: ci\n  sha256: {HASH}\n  expires: 2027-03-01\n"
    ));
    let tokens = tokens.unwrap();
    assert_eq!(tokens[0].hash, TokenHash::of("foo"));
    assert_eq!(tokens[0].expires, Some(1_803_859_200_000));
    assert_eq!(read("").unwrap().len(), 0);
    let cases = [
        (
            "rules: []",
            "unknown key 'rules' (in tokens.yml); known here: tokens",
        ),
        (
            "- name: ci",
            "tokens.yml: must be a mapping of keys to values at its top",
        ),
        ("tokens: [{name: ci}]", "tokens[0].sha256 must be given"),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).unwrap_err(), expected, "{text}");
    }
}
