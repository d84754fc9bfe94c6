//! Rejected values, with exact error texts.

use super::*;

#[test]
fn a_required_header_needs_name_and_value_and_no_standard_name() {
    for text in
        ["true", "X-Shop", "X_Shop: true", "X-Shop: ", "X-Shop:yes", ": true", "X-Shop: ü", "https://proxy.internal"]
    {
        let error = error_of_file(&format!("listen.required_header = \"{text}\""));
        let wanted = "not a header; write its name (letters, digits, \"-\") and its value (visible ASCII), for example \
                      \"X-Wonder-Signer-Request: true\"";
        assert!(error.starts_with("listen.required_header = ") && error.ends_with(wanted), "{error}");
    }
    for name in ["Host", "content-length", "Origin", "Signature", "X-Request-ID"] {
        let error = error_of_file(&format!("listen.required_header = \"{name}: yes\""));
        let wanted =
            "names a header with a meaning of its own; choose another, for example \"X-Wonder-Signer-Request: true\"";
        assert!(error.ends_with(wanted), "{error}");
    }
}

#[test]
fn a_bad_value_is_rejected_with_key_layer_and_remedy() {
    for (toml, error) in [
        (
            "limits.body = \"1 parsec\"",
            "limits.body = \"1 parsec\" (from FILE): not a size; write for example \"1MiB\"",
        ),
        ("limits.body = \"0B\"", "limits.body = \"0B\" (from FILE): out of bounds; 1B to 64MiB is accepted"),
        ("limits.body = \"1GiB\"", "limits.body = \"1GiB\" (from FILE): out of bounds; 1B to 64MiB is accepted"),
        ("limits.body = -1", "limits.body = -1 (from FILE): not a size; write for example \"1MiB\""),
        ("limits.body = true", "limits.body = true (from FILE): not a size; write for example \"1MiB\""),
        (
            "listen.socket_mode = \"+660\"",
            "listen.socket_mode = \"+660\" (from FILE): not the mode of a file; write for example \"0660\"",
        ),
        ("limits.body.x = 1", "limits.body (from FILE): not a size; write for example \"1MiB\""),
        ("limits.headers = 1.5", "limits.headers (from FILE): not a whole number"),
        ("limits.headers = 0", "limits.headers = 0 (from FILE): out of bounds; 10 to 1000 is accepted"),
        (
            "limits.requests_in_flight = 65537",
            "limits.requests_in_flight = 65537 (from FILE): out of bounds; 1 to 65536 is accepted",
        ),
        (
            "limits.header_bytes = \"4KiB\"",
            "limits.header_bytes = \"4KiB\" (from FILE): out of bounds; 8KiB to 1MiB is accepted",
        ),
        (
            "timeouts.connect = 5",
            "timeouts.connect = 5 (from FILE): has no unit; write for example \"5s\" or \"250ms\"",
        ),
        (
            "timeouts.connect = \"5\"",
            "timeouts.connect = \"5\" (from FILE): has no unit; write for example \"5s\" or \"250ms\"",
        ),
        (
            "timeouts.connect = \"soon\"",
            "timeouts.connect = \"soon\" (from FILE): not a duration; write for example \"5s\" or \"250ms\"",
        ),
        ("timeouts.connect = \"0s\"", "timeouts.connect = \"0s\" (from FILE): out of bounds; 1ms to 1h is accepted"),
        (
            "listen.address = \"localhost:8080\"",
            "listen.address = \"localhost:8080\" (from FILE): not an IP address with port; write for example \"127.0.0.1:8080\"",
        ),
        (
            "listen.address = \"0.0.0.0:8080\"",
            "listen.address = \"0.0.0.0:8080\" (from FILE): is not a loopback address, and every program that reaches it can have requests signed; to allow it set listen.dangerous_allow_non_loopback = true (flag --allow-non-loopback)",
        ),
        ("listen.browser_guard = \"no\"", "listen.browser_guard = \"no\" (from FILE): must be true or false"),
        (
            "listen.dangerous_allow_non_loopback = \"yes\"",
            "listen.dangerous_allow_non_loopback = \"yes\" (from FILE): must be true or false",
        ),
        (
            "listen.allowed_hosts = [\"a:80\"]",
            "listen.allowed_hosts (from FILE): must be a list of host names without port; write for example [\"signer.internal\"]",
        ),
        (
            "log.level = \"loud\"",
            "log.level = \"loud\" (from FILE): must be one of off, error, warn, info, debug, trace",
        ),
        ("log.sample_success = 1.5", "log.sample_success (from FILE): must be a number from 0 to 1"),
        ("log.sample_success = \"nan\"", "log.sample_success = \"nan\" (from FILE): must be a number from 0 to 1"),
        ("log.slow_request = \"2h\"", "log.slow_request = \"2h\" (from FILE): out of bounds; 0s to 1h is accepted"),
        (
            "upstream.environment = \"prod\"",
            "upstream.environment = \"prod\" (from FILE): must be one of staging, production, custom",
        ),
        (
            "upstream.environment = \"custom\"",
            "upstream.environment = \"custom\" (from FILE): needs upstream.origin; write for example origin = \"https://127.0.0.1:4443\"",
        ),
        (
            "upstream.origin = \"https://a.example\"",
            "upstream.origin = \"https://a.example\" (from FILE): is allowed only with upstream.environment = \"custom\", but that is \"staging\" (from default); set it to \"custom\" (flag --environment custom)",
        ),
        (
            "[upstream]\nenvironment = \"custom\"\norigin = \"https://a.example/v1\"",
            "upstream.origin = \"https://a.example/v1\" (from FILE): has a path; an origin ends after host and port, because a path would change what is signed",
        ),
        (
            "[upstream]\nenvironment = \"custom\"\norigin = \"https://me:hunter2@a.example\"",
            "upstream.origin (from FILE): holds a user name or password; leave out everything up to the \"@\"",
        ),
        (
            "[upstream]\nenvironment = \"custom\"\norigin = \"http://a.example\"",
            "upstream.origin = \"http://a.example\" (from FILE): is plain http to a host other than loopback; use https",
        ),
        (
            "upstream.ca_mode = \"replace\"",
            "upstream.ca_mode = \"replace\" (from FILE): needs upstream.ca_file, because without it no certificate is trusted",
        ),
        ("limits = 5", "limits (from FILE): must be a table of keys"),
        ("[[credentials]]\nx = 1", "credentials (from FILE): must be a table of keys"),
    ] {
        assert_eq!(error_of_file(toml), error, "{toml}");
    }
}

#[test]
fn invisible_characters_of_a_value_are_named() {
    let shown = |value: &str| error_of_variable("WONDER_SIGNER_LOG__LEVEL", value);
    for (value, said) in [
        ("in\u{200b}fo", "\"in\\u200Bfo\""),
        ("info\nwarn", "\"info\\nwarn\""),
        ("in\u{a0}fo", "\"in\\u00A0fo\""),
        ("in\u{7}fo", "\"in\\u0007fo\""),
        ("in\u{e0041}fo", "\"in\\U000E0041fo\""),
    ] {
        let error = shown(value);
        assert!(error.starts_with(&format!("log.level = {said} (from")), "{error}");
        let code = said.trim_matches('"').trim_start_matches("info").trim_start_matches("in");
        let code = code.trim_end_matches("fo").trim_end_matches("warn");
        assert!(error.ends_with(&format!("; it contains the invisible character {code}")), "{error}");
    }
    let quoted = shown("\"info\"");
    assert!(
        quoted.ends_with("; it begins with a quotation mark, which is part of the value: leave it out"),
        "{quoted}"
    );
    // If the value is not shown, the error names the character in it.
    for (value, hint) in [
        (format!("{APP_ID}\u{200b}"), "; it contains the invisible character \\u200B"),
        (format!("'{APP_ID}'"), "; it begins with a quotation mark, which is part of the value: leave it out"),
        (format!("{APP_ID}\n{APP_ID}"), "; it contains the invisible character \\n"),
        (APP_ID[1..].to_owned(), ""),
    ] {
        let error = Given::new()
            .variable("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", &value)
            .variable("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY_FILE", "/key.pem")
            .error();
        let expected = format!(
            "credentials.default.app_id (from environment variable WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID): the AppID is \
             not a UUID (8-4-4-4-12 hex digits){hint}"
        );
        assert_eq!(error, expected);
    }
}

#[test]
fn an_ambiguous_unit_of_a_size_is_rejected() {
    for (text, bytes) in [
        ("1MiB", 1_048_576),
        ("1mib", 1_048_576),
        ("2Mi", 2_097_152),
        ("64Ki", 65_536),
        ("1.5 KiB", 1536),
        ("5B", 5),
        (" 10KiB\n", 10_240),
    ] {
        assert_eq!(Given::new().variable("WONDER_SIGNER_LIMITS__BODY", text).config().limits.body, bytes, "{text}");
    }
    let no_unit = "has no unit, which is B, KiB, MiB or GiB; write for example \"1MiB\"";
    let not_a_size = "not a size; write for example \"1MiB\"";
    let disagree = |unit: &str, decimal: &str, binary: &str| {
        format!(
            "has a unit that is {decimal} bytes to some programs and {binary} to others; write {unit}, which is {binary}"
        )
    };
    let mega = disagree("MiB", "1000000", "1048576");
    for (value, reason) in [
        ("5", no_unit),
        ("0", no_unit),
        ("\"5\"", no_unit),
        ("\"2m\"", &mega),
        ("\"2M\"", &mega),
        ("\"2MB\"", &mega),
        ("\"2 mb\"", &mega),
        ("\"64k\"", &disagree("KiB", "1000", "1024")),
        ("\"1GB\"", &disagree("GiB", "1000000000", "1073741824")),
        ("\"1TiB\"", not_a_size),
        ("\"MiB\"", not_a_size),
        ("\"1e3MiB\"", not_a_size),
        ("\"-1MiB\"", not_a_size),
        ("\"99999999999999999999GiB\"", "out of bounds; 1B to 64MiB is accepted"),
    ] {
        assert_eq!(
            error_of_file(&format!("limits.body = {value}")),
            format!("limits.body = {value} (from FILE): {reason}")
        );
    }
}

#[test]
fn a_bad_listener_tls_setting_is_rejected_with_key_layer_and_remedy() {
    for (toml, error) in [
        (
            "listen.tls.key_file = \"/k.pem\"",
            "listen.tls.key_file = \"/k.pem\" (from FILE): needs listen.tls.certificate_file and listen.tls.client_ca_file; set all three or none",
        ),
        (
            "listen.tls = { certificate_file = \"/c.pem\", key_file = \"/k.pem\" }",
            "listen.tls.certificate_file = \"/c.pem\" (from FILE): needs listen.tls.client_ca_file; set all three or none",
        ),
        (
            "listen.tls.callers = [\"shop\"]",
            "listen.tls.callers (from FILE): needs listen.tls.certificate_file and listen.tls.key_file and listen.tls.client_ca_file; set all three or none",
        ),
        (
            "listen.tls.callers = [\"other\"]",
            "listen.tls.callers (from FILE): must be a list of names of 1 to 253 visible ASCII characters without commas, none of them \"other\"; write for example [\"shop\"]",
        ),
        ("listen.tls = true", "listen.tls (from FILE): must be a table of keys"),
        (
            "[listen]\naddress = \"0.0.0.0:8443\"\ntls = { certificate_file = \"/c\", key_file = \"/k\", client_ca_file = \"/a\" }",
            "listen.address = \"0.0.0.0:8443\" (from FILE): is not a loopback address, and every program that reaches it can have requests signed; to allow it set listen.dangerous_allow_non_loopback = true (flag --allow-non-loopback)",
        ),
        (
            "[listen]\naddress = \"0.0.0.0:8443\"\ndangerous_allow_non_loopback = true\ntls = { certificate_file = \"/c\", key_file = \"/k\", client_ca_file = \"/a\" }",
            "listen.allowed_hosts (from default): must name this service as its callers do; write for example [\"wonder-signer.payments.svc\"]",
        ),
    ] {
        assert_eq!(error_of_file(toml), error, "{toml}");
    }
}

#[test]
fn a_bad_egress_setting_is_rejected_with_key_layer_and_remedy() {
    for (toml, error) in [
        (
            "upstream.client_certificate_file = \"/c.pem\"",
            "upstream.client_certificate_file = \"/c.pem\" (from FILE): needs upstream.client_key_file; set both or none",
        ),
        (
            "upstream.client_key_file = \"/c.key\"",
            "upstream.client_key_file = \"/c.key\" (from FILE): needs upstream.client_certificate_file; set both or none",
        ),
        (
            "upstream.min_tls_version = \"1.1\"",
            "upstream.min_tls_version = \"1.1\" (from FILE): must be one of 1.2, 1.3",
        ),
        (
            "upstream.http_version = \"2\"",
            "upstream.http_version = \"2\" (from FILE): must be one of auto, http1, http2",
        ),
        (
            "upstream.proxy = \"https://proxy:3128\"",
            "upstream.proxy (from FILE): has a scheme other than http; write http://, because the tunnel through the proxy is encrypted",
        ),
        (
            "upstream.proxy = \"proxy:0\"",
            "upstream.proxy (from FILE): not a proxy; write for example \"http://proxy.internal:3128\", or \"off\"",
        ),
    ] {
        assert_eq!(error_of_file(toml), error, "{toml}");
    }
}

#[test]
fn an_incomplete_or_ambiguous_credential_is_rejected() {
    for (toml, error) in [
        (
            "app_id = \"APP_ID\"",
            "credentials.default (from FILE): has neither private_key_file nor private_key; set credentials.default.private_key_file",
        ),
        (
            "private_key_file = \"/x\"",
            "credentials.default (from FILE): has neither app_id nor app_id_file; set credentials.default.app_id",
        ),
        (
            "app_id = \"APP_ID\"\napp_id_file = \"/x\"\nprivate_key_file = \"/x\"",
            "credentials.default.app_id_file (from FILE): cannot be set together with credentials.default.app_id (from FILE); set only one of them",
        ),
        (
            "app_id = \"x\"\nprivate_key_file = \"/x\"",
            "credentials.default.app_id (from FILE): the AppID is not a UUID (8-4-4-4-12 hex digits)",
        ),
        ("app_id_file = 7\nprivate_key_file = \"/x\"", "credentials.default.app_id_file (from FILE): not a path"),
        (
            "app_id = \"APP_ID\"\nprivate_key_file = \"/x\"\nprivate_key_passphrase_file = \"MARKER\"",
            "credentials.default.private_key_passphrase_file (from FILE): is not the path of a file that begins with \"/\" or \"./\"; put the passphrase into a file and its path here",
        ),
        (
            "private_key = \"x\"",
            "credentials.default.private_key (from FILE): must not be inline in a file; use private_key_file or the environment",
        ),
    ] {
        let toml = format!("[credentials.default]\n{}", toml.replace("APP_ID", APP_ID));
        assert_eq!(error_of_file(&toml), error, "{toml}");
    }
    let given = Given::new().variable("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", "x").flags(Flags {
        app_id: Some(APP_ID.to_owned()),
        private_key_file: Some("/key.pem".into()),
        ..Flags::default()
    });
    assert_eq!(
        given.error(),
        "credentials.default.private_key (from environment variable WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY): cannot be set together with credentials.default.private_key_file (from flag --private-key-file); set only one of them"
    );
}

#[test]
fn a_configuration_without_credentials_is_rejected() {
    assert_eq!(
        Given::new().config().require_credential().unwrap_err().to_string(),
        "no credentials; set credentials.default.app_id and credentials.default.private_key_file"
    );
}

#[test]
fn two_listeners_at_one_address_are_rejected() {
    let webhook = "webhook = { address = \"0.0.0.0:8080\", forward_to = \"http://127.0.0.1:3000\" }";
    for (toml, error) in [
        (
            "admin.address = \"127.0.0.1:8080\"",
            "admin.address = \"127.0.0.1:8080\" (from FILE): 127.0.0.1:8080 is already set in listen.address; choose another",
        ),
        (
            "listen.address = \"127.0.0.1:1, 127.0.0.1:1\"",
            "listen.address = \"127.0.0.1:1, 127.0.0.1:1\" (from FILE): 127.0.0.1:1 is already set in listen.address; choose another",
        ),
        (
            webhook,
            "webhook.address = \"0.0.0.0:8080\" (from FILE): 0.0.0.0:8080 is already set in listen.address; choose another",
        ),
    ] {
        assert_eq!(error_of_file(toml), error, "{toml}");
    }
    for toml in [
        "listen.address = \"127.0.0.1:0\"\nadmin.address = \"127.0.0.1:0\"",
        "listen.address = \"127.0.0.1:9090\"\nadmin.address = \"[::1]:9090\"",
        "listen.address = \"127.0.0.1:1, [::1]:1, unix:/a, unix:/b\"",
    ] {
        Given::new().file(toml).config();
    }
}

#[test]
fn callers_of_a_credential_that_no_request_can_come_from_are_rejected() {
    let credential = "[credentials.default]\napp_id = \"1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11\"\n\
                      private_key_file = \"/k.pem\"\ncallers = [\"Shop\"]\n";
    let tls = "[listen.tls]\ncertificate_file = \"/c\"\nkey_file = \"/k\"\nclient_ca_file = \"/a\"\n";
    for (more, error) in [
        ("", "needs [listen.tls], because only a certificate names a caller"),
        ("callers = [\"till\"]", "names \"shop\", which listen.tls.callers does not admit"),
    ] {
        let toml = if more.is_empty() { credential.to_owned() } else { format!("{credential}{tls}{more}") };
        assert_eq!(error_of_file(&toml), format!("credentials.default.callers (from FILE): {error}"));
    }
    for more in ["", "callers = [\"SHOP\", \"till\"]"] {
        Given::new().file(&format!("{credential}{tls}{more}")).config();
    }
}
