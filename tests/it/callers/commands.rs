//! `serin token` and `serin auth`.

use std::path::Path;
use std::process::{Command, Output};

use serin::config::read_tokens;

use super::hash;

fn serin(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_serin"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_new_token_is_printed_beside_what_knows_it() {
    let (code, token, lines) = serin(&["token", "new", "--name", "deploy", "--expires", "90d"]);
    assert_eq!(code, Some(0), "{lines}");
    let token = token.trim_end();
    let random = token.strip_prefix("serin_").unwrap();
    let is_url_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    assert!(
        random.len() == 43 && random.bytes().all(is_url_safe),
        "{token}"
    );
    assert!(!lines.contains(token), "{lines}");
    // The lines are a file of tokens as they are.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &lines).unwrap();
    let tokens = read_tokens(file.path()).unwrap();
    assert_eq!((tokens.len(), tokens[0].name.as_str()), (1, "deploy"));
    assert!(
        tokens[0].expires.is_some() && lines.contains(&hash(token)),
        "{lines}"
    );
    let (_, other, _) = serin(&["token", "new"]);
    assert_ne!(other.trim_end(), token);
}

#[test]
fn a_mistake_of_a_new_token_is_told() {
    let cases = [
        (
            ["--name", "a b"],
            "--name 'a b' must be letters, digits, '-', '_' and '.', 64 at most",
        ),
        (
            ["--name", "break-glass"],
            "--name 'break-glass' is the name of access.breakGlassToken",
        ),
        (
            ["--expires", "90"],
            "--expires '90' must be a duration with its unit, as in '30s', '5m' or 'PT30S'",
        ),
        (
            ["--expires", "7000000d"],
            "--expires '7000000d' is too long",
        ),
    ];
    for (arguments, expected) in cases {
        let (code, token, told) = serin(&[&["token", "new"][..], &arguments].concat());
        assert_eq!((code, token.as_str()), (Some(64), ""), "{told}");
        assert!(told.contains(expected), "{told}");
    }
}

fn explained(file: &Path, arguments: &str) -> (Option<i32>, String) {
    let file = file.to_str().unwrap();
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let all = [&["auth", "explain", "--config", file][..], &arguments].concat();
    let (code, told, wrong) = serin(&all);
    (code, format!("{told}{wrong}").replace(file, "serin.yml"))
}

#[test]
fn the_rule_that_decides_is_told_with_its_place() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let rules = format!(
        "access:
  tokens: [{{name: ci, sha256: {}}}]
  issuers: [{{name: github, issuer: 'https://g', audience: serin}}]
  proxies: [{{addresses: 10.0.0.1, userHeader: X-User}}]
  rules:
  - who: {{token: c*}}
    may: [read, start]
    applications: [checkout*]
  - who: {{group: sre}}
    may: [admin]
  - who: {{issuer: github, claims: {{repository: org/*}}, addresses: 10.0.0.0/8}}
    mayNot: [delete]
    accounts: [prod]
",
        hash("a token of the tests")
    );
    std::fs::write(file.path(), rules).unwrap();
    let first = "access.rules[0] (serin.yml, line 6) says so: who has the token 'c*' may read, start, on the applications checkout*\n";
    let none =
        "none of the 3 access.rules says anything about that, and what none says is refused\n";
    let third = "access.rules[2] (serin.yml, line 11) says so: who has the issuer 'github' and an address in 10.0.0.0/8 and the claim repository 'org/*' may not delete, with the accounts prod\n";
    let cases = [
        (
            "--as token:ci --do start --on checkout-eu",
            0,
            format!("token:ci may 'start' on the application 'checkout-eu'\n{first}"),
        ),
        (
            "--as token:ci --do config --on checkout",
            1,
            format!("token:ci may not 'config' on the application 'checkout'\n{none}"),
        ),
        (
            "--as token:ci --do read",
            0,
            format!("token:ci may 'read'\n{first}"),
        ),
        (
            "--as token:ci --do read --on *",
            1,
            format!("token:ci may not 'read' on all applications\n{none}"),
        ),
        (
            "--as user:ada@example.com --group sre --do admin",
            0,
            "user:ada@example.com may 'admin'\naccess.rules[1] (serin.yml, line 9) says so: who has the group 'sre' may admin\n".to_owned(),
        ),
        (
            "--as github:x --claim repository=org/a --address 10.1.1.1 --do delete --on a --account prod",
            1,
            format!("github:x may not 'delete' on the application 'a' with the account 'prod'\n{third}"),
        ),
        (
            "--as anonymous --do read --on a",
            1,
            format!("anonymous may not 'read' on the application 'a'\n{none}"),
        ),
        (
            "--as token:cd --do read",
            64,
            "serin: --as 'token:cd' is nobody that this configuration knows; it must be one of token:NAME, user:NAME, certificate:SUBJECT, anonymous, github:SUBJECT\n".to_owned(),
        ),
        (
            "--as anonymous --do reed",
            64,
            "serin: --do 'reed' is no role; did you mean 'read'?\n".to_owned(),
        ),
    ];
    for (arguments, code, expected) in cases {
        assert_eq!(
            explained(file.path(), arguments),
            (Some(code), expected),
            "{arguments}"
        );
    }
    std::fs::write(file.path(), "").unwrap();
    let (code, told) = explained(file.path(), "--as anonymous --do start --on a");
    assert_eq!(code, Some(0));
    assert!(told.ends_with("there are no access.rules: everybody may everything but 'admin'\n"));
}
