//! What deploy/ gives to Kubernetes: serin takes its configurations, and its versions are this one.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::command::text;

const VALUES: &str = include_str!("../../deploy/helm/serin/values.yaml");
const FLEET: &str = include_str!("../../deploy/helm/serin/values-fleet.yaml");
const KUBERNETES: &str = include_str!("../../deploy/kubernetes.yml");

fn read(yaml: &str) -> Value {
    yaml_serde::from_str(yaml).unwrap()
}

#[test]
fn serin_takes_every_configuration() {
    let (config_map, _) = KUBERNETES.split_once("\n---\n").unwrap();
    let config_map = read(config_map);
    let of_the_chart = |values: &str| yaml_serde::to_string(&read(values)["config"]).unwrap();
    let cases = [
        ("chart", of_the_chart(VALUES)),
        ("chart of a fleet", of_the_chart(FLEET)),
        (
            "kubernetes.yml",
            config_map["data"]["serin.yml"].as_str().unwrap().to_owned(),
        ),
        (
            "kustomize, volume",
            include_str!("../../deploy/kustomize/volume/serin.yml").to_owned(),
        ),
        (
            "kustomize, fleet",
            include_str!("../../deploy/kustomize/fleet/serin.yml").to_owned(),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.yml");
    for (name, config) in cases {
        std::fs::write(&file, config).unwrap();
        let taken = Command::new(env!("CARGO_BIN_EXE_serin"))
            .args(["config", "--config", file.to_str().unwrap()])
            .env("DATABASE_URL", "postgres://serin@postgres/serin")
            .env("S3_ACCESS_KEY", "a")
            .env("S3_SECRET_KEY", "b")
            .output()
            .unwrap();
        assert!(taken.status.success(), "{name}: {}", text(&taken.stderr));
    }
}

#[test]
fn what_is_installed_is_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = read(include_str!("../../deploy/helm/serin/Chart.yaml"));
    for key in ["version", "appVersion"] {
        assert_eq!(chart[key], version, "Chart.yaml, {key}");
    }
    for overlay in ["volume", "fleet"] {
        let file = format!("deploy/kustomize/{overlay}/kustomization.yaml");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
        let overlay = read(&std::fs::read_to_string(path).unwrap());
        assert_eq!(overlay["images"][0]["newTag"], version, "{file}");
    }
}
