use super::*;

#[test]
fn who_asks_aws_is_said_in_few_words() {
    let sigv4 = |url: &str, keys: &str| {
        let yaml = format!(
            "kayenta: {{prometheus: {{enabled: true, accounts: [{{name: p, endpoint: {{baseUrl: '{url}'}}, \
             sigv4: {keys}}}]}}}}"
        );
        let variables = [("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "of-environment")];
        let loaded = load_text(&yaml, &variables).unwrap();
        prometheus(&loaded.config.accounts[0])
            .sigv4
            .clone()
            .unwrap()
    };
    let managed = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1";
    let cases = [
        // address, keys, region, service
        (managed, "{}", "eu-west-1", "aps"),
        (managed, "{region: us-east-1}", "us-east-1", "aps"),
        (
            "https://vpce-1-2.aps-workspaces.eu-west-1.vpce.amazonaws.com/workspaces/ws-1",
            "{}",
            "eu-west-1",
            "aps",
        ),
        (
            "https://aps-workspaces.cn-north-1.amazonaws.com.cn",
            "{}",
            "cn-north-1",
            "aps",
        ),
        ("https://evilamazonaws.com", "{}", "of-environment", "aps"),
        (
            "http://p:9090/a",
            "{service: execute-api}",
            "of-environment",
            "execute-api",
        ),
    ];
    for (url, keys, region, service) in cases {
        let sigv4 = sigv4(url, keys);
        let told = (sigv4.identity.region.as_str(), sigv4.service.as_str());
        assert_eq!(told, (region, service), "{url} {keys}");
    }
    let arn = "arn:aws:iam::123456789012:role/serin";
    for key in ["roleArn", "role_arn", "assumeRole"] {
        let keys = format!("{{{key}: '{arn}', externalId: e, profile: q}}");
        let identity = sigv4(managed, &keys).identity;
        let role = identity.role.unwrap();
        assert_eq!(
            (role.arn.as_str(), role.external_id.as_deref()),
            (arn, Some("e"))
        );
        assert_eq!(identity.profile.as_deref(), Some("q"));
    }
}

#[test]
fn cloudwatch_is_asked_in_its_region() {
    let address = |region: &str| {
        let yaml = format!(
            "kayenta: {{cloudwatch: {{enabled: true, accounts: [{{name: c, region: {region}, explicitCredentials: \
             {{accessKey: a, secretKey: a-secret-of-aws}}}}]}}}}"
        );
        let loaded = load_text(&yaml, &[]).unwrap();
        let shown = serde_json::to_string(&loaded.effective).unwrap();
        assert!(!shown.contains("a-secret-of-aws"), "{shown}");
        match &loaded.config.accounts[0].source {
            Some(Source::CloudWatch(account)) => account.base_url.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        address("eu-central-1"),
        "https://monitoring.eu-central-1.amazonaws.com"
    );
    assert_eq!(
        address("cn-north-1"),
        "https://monitoring.cn-north-1.amazonaws.com.cn"
    );
}
