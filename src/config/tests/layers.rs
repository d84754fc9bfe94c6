//! Which layer wins, and what each may set.

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
            allowed_hosts: vec!["a.example".to_owned(), "b.example".to_owned()],
            allow_non_loopback: true,
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
            "listen.allowed_hosts = [\"a.example\",\"b.example\"] --allowed-host",
            "listen.dangerous_allow_non_loopback = true --allow-non-loopback",
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
fn variables_that_kubernetes_makes_for_services_are_ignored() {
    for service in ["", "METRICS_", "GATEWAY_", "ADMIN_PORT_", "LISTEN_", "A__B_", "LISTEN__TLS_", "_X_", "0_"] {
        let mut given = Given::new();
        for (name, value) in [
            ("SERVICE_HOST", "10.0.0.11"),
            ("SERVICE_PORT", "8080"),
            ("SERVICE_PORT_HTTP_METRICS", "9090"),
            ("PORT", "tcp://10.0.0.11:8080"),
            ("PORT_8080_TCP", "tcp://10.0.0.11:8080"),
            ("PORT_8080_TCP_PROTO", "tcp"),
            ("PORT_8080_TCP_PORT", "8080"),
            ("PORT_8080_TCP_ADDR", "10.0.0.11"),
            ("PORT_53_UDP", "udp://[fd00::11]:53"),
            ("PORT_53_UDP_ADDR", "fd00::11"),
        ] {
            given = given.variable(&format!("WONDER_SIGNER_{service}{name}"), value);
        }
        given.config();
    }
}

#[test]
fn a_variable_that_only_looks_like_one_of_kubernetes_is_reported() {
    for (name, value) in [
        ("PORT", "8080"),
        ("ADMIN_PORT", "9090"),
        ("LISTEN_PORT", "127.0.0.1:8080"),
        ("METRICS_PORT", "https://10.0.0.11:8080"),
        ("METRICS_PORT", "tcp://10.0.0.11"),
        ("METRICS_PORT", "tcp://metrics:8080"),
        ("SERVICE_HOST", "metrics.example"),
        ("SERVICE_PORT", "http"),
        ("METRICS_SERVICE_PORT_", "80"),
        ("METRICS_PORT_8080_TCP", "10.0.0.11:8080"),
        ("METRICS_PORT_8080_TCP", "udp://10.0.0.11:8080"),
        ("METRICS_PORT_8080_TCP_PORT", "8081"),
        ("METRICS_PORT_8080_TCP_PROTO", "udp"),
        ("METRICS_PORT_8080_TLS", "tcp://10.0.0.11:8080"),
        ("METRICS_PORT_808000_TCP", "tcp://10.0.0.11:8080"),
        // Below a table of ours, where the name of the Service would end in a hyphen.
        ("LISTEN__SERVICE_PORT", "8080"),
        ("ADMIN__SERVICE_HOST", "10.0.0.11"),
        ("ADMIN__PORT", "tcp://10.0.0.11:8080"),
        ("_SERVICE_PORT", "8080"),
        ("ADMIN__ADDRESS_PORT", "9090"),
        ("UPSTREAM__ORIGIN_PORT", "443"),
        ("metrics_service_port", "8080"),
    ] {
        let name = format!("WONDER_SIGNER_{name}");
        let error = error_of_variable(&name, value);
        assert!(error.starts_with(&format!("unknown environment variable {name}")), "{error}");
    }
}

#[test]
fn white_space_around_any_value_does_not_count_and_an_empty_one_is_not_set() {
    let file = |value: &str| {
        format!("[listen]\naddress = \"{value}\"\nallowed_hosts = [\" a.example \"]\n[log]\nlevel = \"\\r\\n\"\n")
    };
    let given = Given::new()
        .file(&file(" 127.0.0.1:1\\r\\n"))
        .file("[listen]\naddress = \"\"\n[credentials.default]\napp_id = \"  \"\n[upstream]\nproxy = \"\"\nca_file = \" \"\n")
        .variable("HTTPS_PROXY", "\t\n")
        .variable("WONDER_SIGNER_LIMITS__BODY", "\u{feff}2MiB\r")
        .variable("WONDER_SIGNER_LIMITS__HEADERS", " 20\u{a0}")
        .variable("WONDER_SIGNER_UPSTREAM__ENVIRONMENT", "")
        .variable("WONDER_SIGNER_LISTEN__TLS__CALLERS", "  ")
        .variable("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", "\n")
        .variable("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", " \n ")
        .variable("WONDER_SIGNER_CREDENTIALS__SHOP__APP_ID", "")
        .flags(Flags { admin: Some(" 127.0.0.1:2 ".to_owned()), ca_file: Some("".into()), ..Flags::default() });
    let config = given.config();
    assert_eq!(config.listen.addresses[0].to_string(), "127.0.0.1:1");
    assert_eq!(config.listen.allowed_hosts, ["a.example"]);
    assert_eq!((config.limits.body, config.limits.headers), (2 << 20, 20));
    assert_eq!(config.admin.address.port(), 2);
    assert_eq!((config.log.level, config.upstream.environment), (LogLevel::Info, Environment::Staging));
    assert_eq!((config.upstream.ca_file, config.upstream.proxy), (None, None));
    assert!(config.credentials.is_empty());
    // Without the item, a list of one caller would be a list of all callers.
    let error = error_of_file("listen.tls.callers = [\"  \"]");
    assert!(error.starts_with("listen.tls.callers (from FILE): must be a list of names"), "{error}");
    // A name that means nothing is an error whatever its value.
    assert!(error_of_variable("WONDER_SIGNER_BODDY", "").starts_with("unknown environment variable"));
}

#[test]
fn credentials_come_from_files_and_environment() {
    let given = Given::new().file(
        "[credentials.default]\nprivate_key_file = \"/key.pem\"\n[credentials.shop-2]\napp_id_file = \"/app_id\"",
    );
    let given = given
        .variable("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", APP_ID)
        .variable("WONDER_SIGNER_CREDENTIALS__SHOP-2__PRIVATE_KEY", "one\\ntwo\\r\\nthree\nfour");
    let config = given.config();
    config.require_credential().unwrap();
    assert_eq!(config.credentials["default"].unit.app_id, AppIdSource::Value(APP_ID.parse().unwrap()));
    assert_eq!(config.credentials["shop-2"].unit.app_id, AppIdSource::File("/app_id".into()));
    let KeySource::Inline(secret) = &config.credentials["shop-2"].unit.private_key else { panic!("not inline") };
    assert_eq!(secret.expose(), "one\\ntwo\\r\\nthree\nfour");
    let text = explained(&config);
    let file = given.files[0].display();
    assert!(text.contains(&format!("credentials.shop-2.app_id_file = \"/app_id\"  # file {file}\n")));
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
