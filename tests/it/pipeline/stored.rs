//! Runs of configs that the server has.

use super::*;

#[tokio::test]
async fn a_run_without_an_application_is_of_the_one_that_its_config_names() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let serin = Serin::start(&prometheus.url).await;
    let config: Value = serde_json::from_str(include_str!("../lint/whole.json")).unwrap();
    let cases = [
        // of the config          typed              listed under
        (json!(["shop"]), None, "shop"),
        (json!(["shop", "web"]), None, "ad-hoc"),
        (json!(["store"]), Some("other"), "other"),
    ];
    for (number, (applications, typed, expected)) in cases.into_iter().enumerate() {
        let name = format!("stored-{number}");
        let mut config = config.clone();
        config["name"] = json!(name);
        config["applications"] = applications;
        let (status, stored) = serin.client.post("/canaryConfig", &config).await;
        assert_eq!(status, 200, "{stored}");
        let id = stored["canaryConfigId"].as_str().unwrap();
        let typed = typed.map(|typed| format!("--application={typed}"));
        // By its name a config is looked for in the application that is typed.
        let mut ways = vec![format!("--config-id={id}")];
        ways.extend(typed.is_none().then(|| format!("--config-name={name}")));
        for way in &ways {
            let server = ["--server", &serin.service.url, way];
            let mut arguments = [&WINDOW[..], &server].concat();
            arguments.extend(typed.as_deref());
            let (exit, told) = run(&arguments, &[], "").await;
            assert_eq!(exit, 0, "{told}");
        }
        let listed = format!("/canary/executions?application={expected}");
        let (_, listed) = serin.client.get(&listed).await;
        assert_eq!(listed.as_array().unwrap().len(), ways.len(), "{expected}");
    }
}
