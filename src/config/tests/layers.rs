//! Which layer wins, and what each may set.

use std::fs;

use super::*;

#[test]
fn later_layers_win_key_by_key_and_are_named() {
    let given = Given::new()
        .file("[limits]\nbody = \"2MiB\"\nheaders = 20\nconnections = 30\n[log]\nlevel = \"warn\"")
        .file("[limits]\nheaders = 21\n[listen]\naddress = \"127.0.0.1:1\"")
        .variable("WONDER_SIGNER_LIMITS__CONNECTIONS", "31")
        .variable("wonder_signer_listen__address", "127.0.0.1:2")
        .variable("WONDER_SIGNER_ADMIN__ADDRESS", "127.0.0.1:3")
        .variable("UNRELATED", "x")
        .variable("WONDER_SIGNERS__X", "x")
        .flags(Flags { listen: Some("127.0.0.1:4".to_owned()), ..Flags::default() });
    let config = given.config();
    assert_eq!(config.limits.body, 2 * 1024 * 1024);
    assert_eq!((config.limits.headers, config.limits.connections), (21, 31));
    assert_eq!(config.listen.addresses[0].to_string(), "127.0.0.1:4");
    assert_eq!(config.admin.address.port(), 3);
    assert_eq!(config.log.level, LogLevel::Warn);
    let file = |index: usize| format!("file {}", given.files[index].display());
    let source = |key| config.sources.of(key).to_owned();
    assert_eq!(source("limits.body"), file(0));
    assert_eq!(source("limits.headers"), file(1));
    assert_eq!(source("limits.connections"), "environment variable WONDER_SIGNER_LIMITS__CONNECTIONS");
    assert_eq!(source("admin.address"), "environment variable WONDER_SIGNER_ADMIN__ADDRESS");
    assert_eq!(source("listen.address"), "flag --listen");
    assert_eq!(source("limits.header_bytes"), "default");
}

#[test]
fn every_flag_sets_its_key() {
    let config = Given::new()
        .flags(Flags {
            app_id: Some(APP_ID.to_owned()),
            private_key_file: Some("/key.pem".into()),
            environment: Some("custom".to_owned()),
            origin: Some("http://localhost:4000".to_owned()),
            ca_file: Some("/ca.pem".into()),
            listen: Some("127.0.0.1:0".to_owned()),
            admin: Some("127.0.0.1:0".to_owned()),
        })
        .config();
    let flags: Vec<String> = explained(&config)
        .lines()
        .filter(|line| line.contains("# flag"))
        .map(|line| line.replace("  # flag", ""))
        .collect();
    assert_eq!(
        flags,
        [
            "listen.address = \"127.0.0.1:0\" --listen",
            "admin.address = \"127.0.0.1:0\" --admin",
            "upstream.environment = \"custom\" --environment",
            "upstream.origin = \"http://localhost:4000\" --origin",
            "upstream.ca_file = \"/ca.pem\" --ca-file",
            &format!("credentials.default.app_id = \"{APP_ID}\" --app-id"),
            "credentials.default.private_key_file = \"/key.pem\" --private-key-file",
        ]
    );
}

#[test]
fn each_environment_has_its_origin() {
    for (environment, origin) in
        [("staging", "https://gateway-stg.wonder.today"), ("production", "https://gateway.wonder.today")]
    {
        let config = Given::new().variable("WONDER_SIGNER_UPSTREAM__ENVIRONMENT", environment).config();
        assert_eq!(config.upstream.origin.to_string(), origin);
        assert!(explained(&config).contains(&format!("upstream.origin = \"{origin}\"  # upstream.environment\n")));
    }
}

#[test]
fn one_key_set_by_two_spellings_of_a_variable_is_refused() {
    let given = Given::new().variable("WONDER_SIGNER_LIMITS__BODY", "1").variable("WONDER_SIGNER_limits__body", "2");
    assert_eq!(
        given.error(),
        "environment variable WONDER_SIGNER_limits__body: sets the same key as WONDER_SIGNER_LIMITS__BODY; set only one of them"
    );
}

#[test]
fn variables_that_kubernetes_makes_for_a_service_of_that_name_are_ignored() {
    let mut given = Given::new();
    for (name, value) in [
        ("SERVICE_HOST", "10.0.0.11"),
        ("SERVICE_PORT", "8080"),
        ("SERVICE_PORT_METRICS", "9090"),
        ("PORT", "tcp://10.0.0.11:8080"),
        ("PORT_8080_TCP", "tcp://10.0.0.11:8080"),
        ("PORT_8080_TCP_PROTO", "tcp"),
        ("PORT_8080_TCP_PORT", "8080"),
        ("PORT_8080_TCP_ADDR", "10.0.0.11"),
    ] {
        given = given.variable(&format!("WONDER_SIGNER_{name}"), value);
    }
    given.config();
    assert_eq!(error_of_variable("WONDER_SIGNER_PORT", "8080"), "unknown environment variable WONDER_SIGNER_PORT");
}

#[test]
fn credentials_come_from_files_and_environment() {
    let given = Given::new().file(
        "[credentials.default]\nprivate_key_file = \"/key.pem\"\n[credentials.shop-2]\napp_id_file = \"APP_ID_FILE\"",
    );
    let app_id_file = given.directory.as_ref().unwrap().path().join("app_id");
    fs::write(&app_id_file, format!("{APP_ID}\r\n")).unwrap();
    let text = fs::read_to_string(&given.files[0]).unwrap();
    fs::write(&given.files[0], text.replace("APP_ID_FILE", app_id_file.to_str().unwrap())).unwrap();
    let given = given
        .variable("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", APP_ID)
        .variable("WONDER_SIGNER_CREDENTIALS__SHOP-2__PRIVATE_KEY", "one\\ntwo\\r\\nthree\nfour");
    let config = given.config();
    config.require_credential().unwrap();
    assert_eq!(config.credentials["default"].app_id.as_str(), APP_ID);
    assert_eq!(config.credentials["shop-2"].app_id.as_str(), APP_ID);
    let KeySource::Inline(secret) = &config.credentials["shop-2"].private_key else { panic!("not inline") };
    assert_eq!(secret.expose(), "one\ntwo\nthree\nfour");
    let text = explained(&config);
    let file = given.files[0].display();
    assert!(text.contains(&format!("credentials.shop-2.app_id = \"{APP_ID}\"  # file {file}\n")));
    assert!(text.contains(
        "credentials.shop-2.private_key = \"(secret)\"  # environment variable WONDER_SIGNER_CREDENTIALS__SHOP-2__PRIVATE_KEY\n"
    ));
}

#[test]
fn the_proxy_of_the_environment_holds_below_every_layer_of_ours() {
    let proxy = |given: &Given| given.config().upstream.proxy.map(|proxy| proxy.to_string());
    let general = |name| Given::new().variable(name, "http://general:1");
    for name in ["HTTPS_PROXY", "https_proxy"] {
        assert_eq!(proxy(&general(name)).as_deref(), Some("http://general:1"));
        let text = explained(&general(name).config());
        assert!(
            text.contains(&format!("upstream.proxy = \"http://general:1\"  # environment variable {name}\n")),
            "{text}"
        );
        assert_eq!(proxy(&general(name).file("upstream.proxy = \"http://file:2\"")).as_deref(), Some("http://file:2"));
        let off = general(name).variable("WONDER_SIGNER_UPSTREAM__PROXY", "off");
        assert_eq!(proxy(&off), None);
        let line = "upstream.proxy = \"off\"  # environment variable WONDER_SIGNER_UPSTREAM__PROXY\n";
        assert!(explained(&off.config()).contains(line));
    }
    let both = Given::new().variable("https_proxy", "http://lower:1").variable("HTTPS_PROXY", "http://upper:1");
    assert_eq!(proxy(&both).as_deref(), Some("http://upper:1"));
    let empty = Given::new().variable("HTTPS_PROXY", "").variable("https_proxy", "http://lower:1");
    assert_eq!(proxy(&empty).as_deref(), Some("http://lower:1"));
    assert_eq!(proxy(&Given::new().variable("HTTP_PROXY", "http://x:1").variable("ALL_PROXY", "http://x:1")), None);
}

#[test]
fn the_proxy_of_the_environment_is_not_for_loopback_nor_for_what_no_proxy_names() {
    // Not even looked at: a proxy that could not be used is no fault where none is needed.
    let general = || Given::new().variable("HTTPS_PROXY", "socks5://general:1");
    for given in [
        general().variable("NO_PROXY", "example.com,.wonder.today"),
        general().variable("no_proxy", "*"),
        general().file("[upstream]\nenvironment = \"custom\"\norigin = \"https://127.0.0.1:4443\""),
        general().file("[upstream]\nenvironment = \"custom\"\norigin = \"http://localhost:4000\""),
    ] {
        let config = given.config();
        assert_eq!(config.upstream.proxy, None);
        assert!(!explained(&config).contains("upstream.proxy"));
    }
    // A proxy of our own holds in spite of both.
    let ours = Given::new()
        .variable("NO_PROXY", "*")
        .file("[upstream]\nproxy = \"http://ours:1\"\nenvironment = \"custom\"\norigin = \"https://127.0.0.1:4443\"");
    assert_eq!(ours.config().upstream.proxy.unwrap().to_string(), "http://ours:1");
}
