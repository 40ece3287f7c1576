use super::*;

#[test]
fn a_container_of_azure_is_where_it_is_said_to_be() {
    let key = "storageAccountName: canaries, accountAccessKey: a2V5";
    let cases = [
        // account                                          address, or what is told
        (key.to_owned(), Ok("https://canaries.blob.core.windows.net")),
        (
            format!("{key}, endpointSuffix: core.chinacloudapi.cn"),
            Ok("https://canaries.blob.core.chinacloudapi.cn"),
        ),
        (
            format!("{key}, endpoint: {{baseUrl: 'http://azurite:10000/canaries/'}}"),
            Ok("http://azurite:10000/canaries"),
        ),
        (
            "sasToken: '?sv=1&sig=2', endpoint: {baseUrl: 'https://private'}".to_owned(),
            Ok("https://private"),
        ),
        (
            "connectionString: 'DefaultEndpointsProtocol=https;AccountName=canaries;AccountKey=a2V5==;\
             EndpointSuffix=core.usgovcloudapi.net'"
                .to_owned(),
            Ok("https://canaries.blob.core.usgovcloudapi.net"),
        ),
        (
            "connectionString: 'BlobEndpoint=https://private/;QueueEndpoint=https://q;\
             SharedAccessSignature=sv=1&sig=2%3D;'"
                .to_owned(),
            Ok("https://private"),
        ),
        (
            "connectionString: 'DefaultEndpointsProtocol=http;AccountName=canaries;AccountKey=a2V5'"
                .to_owned(),
            Ok("http://canaries.blob.core.windows.net"),
        ),
        (
            "storageAccountName: Canaries.evil, accountAccessKey: a2V5".to_owned(),
            Err("3 to 24 lower-case letters and digits"),
        ),
        (
            format!("{key}, endpointSuffix: 'evil/#'"),
            Err("must be the end of a host"),
        ),
        (format!("{key}, sasToken: sig=2"), Err("are both given")),
        (
            format!("{key}, connectionString: 'AccountKey=a2V5'"),
            Err("accountAccessKey is given, and"),
        ),
        (
            "connectionString: 'a2V5'".to_owned(),
            Err("connectionString: parts are wanted"),
        ),
        (
            "connectionString: 'UseDevelopmentStorage=true'".to_owned(),
            Err("UseDevelopmentStorage is not served"),
        ),
        (
            "accountAccessKey: a2V5".to_owned(),
            Err("storageAccountName must be given"),
        ),
        (
            format!("{key}, clientId: id"),
            Err("clientId is of use without a key"),
        ),
    ];
    for (account, expected) in cases {
        let yaml = format!(
            "kayenta:
  blobs.enabled: true
  azure:
    enabled: true
    accounts: [{{name: a, container: c-1, supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE], {account}}}]"
        );
        match (load_text(&yaml, &[]), expected) {
            (Ok(loaded), Ok(address)) => {
                let Some(Store::Azure(azure)) = &loaded.config.accounts[0].store else {
                    panic!("{loaded:?}");
                };
                assert_eq!(azure.url, address, "{account}");
                assert_eq!(loaded.warnings, [""; 0], "{account}");
                let printed = print(&loaded.effective);
                assert!(
                    !printed.contains("a2V5") && !printed.contains("sig="),
                    "{printed}"
                );
            }
            (Err(Error(told)), Err(expected)) => {
                assert!(told.contains(expected), "{told}");
                assert!(!told.contains("a2V5"), "{told}");
            }
            (found, _) => panic!("{account}: {found:?}"),
        }
    }
    for container in ["ab", "a--b", "-ab", "Abc", "a/b/c"] {
        let yaml = format!(
            "kayenta: {{blobs.enabled: true, azure: {{enabled: true, accounts: [{{name: a, container: '{container}', {key}}}]}}}}"
        );
        let told = mistake(&yaml);
        assert!(
            told.contains("container") && told.contains("3 to 63"),
            "{told}"
        );
    }
}

#[test]
fn what_s3_is_written_with_is_checked() {
    let cases = [
        // account                                     tags, or what is told
        (
            "encryption: AES256, tags: {a b: 'c+d', e: ''}",
            Ok(Some("a+b=c%2Bd&e=")),
        ),
        (
            "encryption: aws:kms, kmsKeyId: k, bucketKey: false",
            Ok(None),
        ),
        (
            "encryption: 'aws:kms:dsse', kmsKeyId: k, storageClass: GLACIER_IR",
            Ok(None),
        ),
        (
            "encryption: aes",
            Err("is 'aes': must be 'AES256', 'aws:kms' or"),
        ),
        (
            "kmsKeyId: k",
            Err("kmsKeyId is of use with kayenta.aws.accounts[0].encryption: aws:kms only"),
        ),
        (
            "encryption: AES256, kmsKeyId: k",
            Err("kmsKeyId is of use with"),
        ),
        (
            "encryption: 'aws:kms:dsse', bucketKey: true",
            Err("bucketKey is of use with"),
        ),
        ("storageClass: DEEP_ARCHIVE", Err("cannot be read at once")),
        ("storageClass: cold", Err("must be a class in S3's words")),
        (
            "tags: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 1, k: 1}",
            Err("tags: S3 takes 10 tags at most"),
        ),
    ];
    for (account, expected) in cases {
        let yaml = format!(
            "kayenta:
  s3.enabled: true
  aws: {{enabled: true, accounts: [{{name: a, bucket: b, supportedTypes: [OBJECT_STORE], {account}}}]}}"
        );
        match (load_text(&yaml, &[]), expected) {
            (Ok(loaded), Ok(tags)) => {
                let account = s3(&loaded.config.accounts[0]);
                assert_eq!(account.writing.tags.as_deref(), tags, "{yaml}");
                let again = load_text(&print(&loaded.effective), &[]).unwrap();
                let again = s3(&again.config.accounts[0]).writing.clone();
                assert_eq!(format!("{again:?}"), format!("{:?}", account.writing));
            }
            (Err(Error(told)), Err(expected)) => assert!(told.contains(expected), "{told}"),
            (found, _) => panic!("{account}: {found:?}"),
        }
    }
    let long = "x".repeat(257);
    for (value, expected) in [
        (long.as_str(), "tags.t: a tag has a name of 128"),
        ("'1&2'", "tags.t: a tag has letters, digits"),
    ] {
        let told = mistake(&format!(
            "kayenta: {{s3.enabled: true, aws: {{enabled: true, accounts: [{{name: a, bucket: b, tags: {{t: {value}}}}}]}}}}"
        ));
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn who_has_no_key_for_azure_is_who_serin_runs_as() {
    let pod = [
        ("AZURE_FEDERATED_TOKEN_FILE", "/t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_AUTHORITY_HOST", "https://login.chinacloudapi.cn/"),
    ];
    let app = [
        ("IDENTITY_ENDPOINT", "http://localhost:1/msi/token"),
        ("IDENTITY_HEADER", "s3cret"),
    ];
    let cases = [
        (
            &pod[..],
            "",
            "Some(\"c\"), giver: Directory { authority: \"https://login.chinacloudapi.cn\", tenant: \"t\", proof: File(\"/t\") }",
        ),
        (
            &pod[..3],
            ", clientId: d",
            "Some(\"d\"), giver: Directory { authority: \"https://login.microsoftonline.com\"",
        ),
        (
            &pod[1..],
            ", clientSecret: s3cret",
            "Some(\"c\"), giver: Directory { authority: \"https://login.chinacloudapi.cn\", tenant: \"t\", proof: Secret(",
        ),
        (
            &[("AZURE_CLIENT_SECRET", "s3cret")],
            ", clientId: d, tenantId: u",
            "Some(\"d\"), giver: Directory { authority: \"https://login.microsoftonline.com\", tenant: \"u\", proof: Secret(",
        ),
        (
            &app[..],
            "",
            "None, giver: App { endpoint: \"http://localhost:1/msi/token\"",
        ),
        (
            &app[..1],
            ", clientId: d",
            "Some(\"d\"), giver: Machine { url: \"http://169.254.169.254/",
        ),
        (&[], "", "None, giver: Machine"),
    ];
    let load = |variables: &[(&str, &str)], more: &str| {
        let yaml = format!(
            "kayenta: {{blobs.enabled: true, azure: {{enabled: true, accounts: [{{name: a, storageAccountName: canaries, \
             container: abc, supportedTypes: [OBJECT_STORE]{more}}}]}}}}"
        );
        load_text(&yaml, variables)
    };
    for (variables, more, expected) in cases {
        let loaded = load(variables, more).unwrap();
        let Some(Store::Azure(azure)) = &loaded.config.accounts[0].store else {
            panic!("{loaded:?}");
        };
        let found = format!("{:?}", azure.credentials);
        assert!(
            found.contains(expected) && !found.contains("s3cret"),
            "{found}"
        );
    }
    let mistakes = [
        (&pod[..2], "", "AZURE_TENANT_ID"),
        (&[], ", clientSecret: s3cret", "clientSecret is given; "),
        (&[], ", tenantId: t", "tenantId is given, and neither"),
        (
            &[],
            ", accountAccessKey: a2V5, clientSecret: s3cret",
            "clientSecret is of use without a key",
        ),
    ];
    for (variables, more, expected) in mistakes {
        let Error(told) = load(variables, more).unwrap_err();
        assert!(
            told.contains(expected) && !told.contains("s3cret"),
            "{told}"
        );
    }
}
