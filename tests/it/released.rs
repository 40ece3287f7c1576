//! How a released serin comes to a machine: release/install, and the first step of action.yml.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::command::text;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The folder of the action in version 1.2.3, a release of it, and a cargo that only says so.
const WORKSHOP: &str = r#"
mkdir -p action/release bin made/v1.2.3
cp "$INSTALL" action/release/install
echo 'version = "1.2.3"' >action/Cargo.toml
printf '#!/bin/sh\necho built >>"$GITHUB_PATH"\n' >bin/cargo
chmod +x bin/cargo
target=$(uname -m)-unknown-linux-$(getconf GNU_LIBC_VERSION >/dev/null 2>&1 && echo gnu || echo musl)
mkdir "serin-$target"
printf '#!/bin/sh\necho serin 1.2.3\n' >"serin-$target/serin"
chmod +x "serin-$target/serin"
cd made/v1.2.3
tar -czf "serin-$target.tar.gz" -C ../.. "serin-$target"
sha256sum * >SHA256SUMS
echo "$COMMIT" >COMMIT
"#;

fn shell(folder: &Path, script: &str, environment: &[(&str, &str)]) -> Output {
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", format!("{}/bin:/usr/bin:/bin", folder.display()))
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("release/install");
    let environment = [("INSTALL", install.to_str().unwrap()), ("COMMIT", COMMIT)];
    let made = shell(folder.path(), WORKSHOP, &environment);
    assert!(made.status.success(), "{}", text(&made.stderr));
    folder
}

#[test]
fn the_action_fetches_its_version_and_builds_what_nobody_released() {
    let action: Value = yaml_serde::from_str(include_str!("../../action.yml")).unwrap();
    let script = action["runs"]["steps"][0]["run"].as_str().unwrap();
    let (spoiled, gone) = (
        "for file in made/v1.2.3/*.tar.gz; do echo more >>$file; done",
        "rm -r made/v1.2.3",
    );
    let cases = [
        // the ref of the action, what has become of the release, whether it is fetched
        ("v1.2.3", "true", true),
        ("v1", "true", true),
        (COMMIT, "true", true),
        ("main", "true", false),
        ("v1.2.30", "true", false),
        ("fedcba9876543210fedcba9876543210fedcba98", "true", false),
        ("", "true", false),
        ("", "rm made/v1.2.3/COMMIT", false),
        ("v1.2.3", spoiled, false),
        ("v1.2.3", gone, false),
    ];
    for (name, before, is_fetched) in cases {
        let folder = workshop();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let prepared = shell(folder.path(), before, &[]);
        assert!(prepared.status.success(), "{before}");
        let environment = [
            ("ACTION", path("action")),
            ("REF", name.to_owned()),
            ("RELEASES", format!("file://{}", path("made"))),
            ("RUNNER_TEMP", path("temporary")),
            ("GITHUB_PATH", path("path")),
        ];
        let environment: Vec<_> = environment.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let ended = shell(folder.path(), script, &environment);
        assert!(ended.status.success(), "{name}: {}", text(&ended.stderr));
        let added = std::fs::read_to_string(path("path")).unwrap();
        let expected = if is_fetched {
            path("temporary/serin")
        } else {
            "built".to_owned()
        };
        assert_eq!(added.trim_end(), expected, "{name}, {before}");
        let is_there = Path::new(&path("temporary/serin/serin")).exists();
        assert_eq!(is_there, is_fetched, "{name}, {before}");
    }
}

#[test]
fn an_archive_that_is_not_what_it_was_is_not_installed() {
    let folder = workshop();
    let from = format!("file://{}/made/v1.2.3", folder.path().display());
    let environment = [("SERIN_DOWNLOAD", from.as_str()), ("SERIN_TO", "programs")];
    let ended = shell(folder.path(), "sh action/release/install", &environment);
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert!(text(&ended.stdout).contains("serin 1.2.3 is installed as programs/serin"));

    let spoiled = "for file in made/v1.2.3/*.tar.gz; do echo more >>$file; done; rm -r programs";
    shell(folder.path(), spoiled, &[]);
    let ended = shell(folder.path(), "sh action/release/install", &environment);
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("does not have the checksum"));
    assert!(!folder.path().join("programs").exists());
}
