//! Unknown keys and variables, unreadable files, and the layer of an error.

use std::path::Path;

use super::*;

#[test]
fn the_layer_of_an_error_is_named_as_people_typed_it() {
    assert_eq!(
        error_of_variable("WONDER_SIGNER_LIMITS__BODY", "much"),
        "limits.body = \"much\" (from environment variable WONDER_SIGNER_LIMITS__BODY): not a size; write for example \"1MiB\""
    );
    assert_eq!(
        error_of_variable("HTTPS_PROXY", "socks5://user:password@proxy:1080"),
        "upstream.proxy (from environment variable HTTPS_PROXY): has a scheme other than http; write http://, because the tunnel through the proxy is encrypted"
    );
    let flags = Flags { listen: Some("8080".to_owned()), ..Flags::default() };
    assert_eq!(
        Given::new().flags(flags).error(),
        "listen.address = \"8080\" (from flag --listen): not an IP address with port; write for example \"127.0.0.1:8080\""
    );
    let flags = Flags { origin: Some("https://a.example".to_owned()), ..Flags::default() };
    assert_eq!(
        Given::new().flags(flags).error(),
        "upstream.origin = \"https://a.example\" (from flag --origin): is allowed only with upstream.environment = \"custom\", but that is \"staging\" (from default); set it to \"custom\" (flag --environment custom)"
    );
}

#[test]
fn an_unknown_key_is_rejected_with_the_nearest_known_one() {
    for (toml, error) in [
        ("limits.boddy = 1", "unknown key limits.boddy (from FILE); did you mean limits.body?"),
        ("[limit]\nbody = 1", "unknown key limit (from FILE); did you mean limits?"),
        ("ca_file = \"/x\"", "unknown key ca_file (from FILE); did you mean upstream.ca_file?"),
        ("[zzz]", "unknown key zzz (from FILE)"),
        (
            "\"limits.body\" = 1",
            "limits.body (from FILE): a name in quotes is one name, dots included; write it without the quotes",
        ),
        ("credentials.default.passwd = \"x\"", "unknown key credentials.default.passwd (from FILE)"),
        (
            "credentials.shop.appid = \"x\"",
            "unknown key credentials.shop.appid (from FILE); did you mean credentials.shop.app_id?",
        ),
        (
            "credentials.Shop.app_id = \"x\"",
            "credentials.Shop (from FILE): a credential's name is 1 to 64 of a-z, 0-9, \"_\" and \"-\"",
        ),
    ] {
        assert_eq!(error_of_file(toml), error, "{toml}");
    }
}

#[test]
fn an_unknown_variable_is_rejected_with_the_nearest_known_one() {
    for (name, error) in [
        ("WONDER_SIGNER_LIMITS_BODY", "; did you mean WONDER_SIGNER_LIMITS__BODY?"),
        ("WONDER_SIGNER_LIMITS__BODDY", "; did you mean WONDER_SIGNER_LIMITS__BODY?"),
        ("WONDER_SIGNER_BODY", "; did you mean WONDER_SIGNER_LIMITS__BODY?"),
        ("WONDER_SIGNER_LIMITS", ""),
        ("WONDER_SIGNER_", ""),
        ("WONDER_SIGNER_LIMITS.BODY", "; did you mean WONDER_SIGNER_LIMITS__BODY?"),
        ("WONDER_SIGNER_PRIVATE_KEY", "; did you mean WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY?"),
        ("wonder_signer_limits__boddy", "; did you mean WONDER_SIGNER_LIMITS__BODY?"),
        ("WONDER_SIGNER_WEBHOOK", ""),
        ("WONDER_SIGNER_WEBHOOK__", ""),
        ("WONDER_SIGNER_WEBHOOK__NONSENSE", ""),
        ("WONDER_SIGNER_WEBHOOK__FORWARDTO", "; did you mean WONDER_SIGNER_WEBHOOK__FORWARD_TO?"),
        ("WONDER_SIGNER_WEBHOOK__FORWARD__TO", "; did you mean WONDER_SIGNER_WEBHOOK__FORWARD_TO?"),
        ("WONDER_SIGNER_WEBHOOK_FORWARD_TO", "; did you mean WONDER_SIGNER_WEBHOOK__FORWARD_TO?"),
        ("WONDER_SIGNER_WEBHOOKS__ADDRESS", "; did you mean WONDER_SIGNER_WEBHOOK__ADDRESS?"),
        ("WONDER_SIGNER_WEBHOOK__REDIS_URL", "; did you mean WONDER_SIGNER_WEBHOOK__REDIS__URL?"),
        ("WONDER_SIGNER_WEBHOOK__REDIS__PASSWORD", "; did you mean WONDER_SIGNER_WEBHOOK__REDIS__PASSWORD_FILE?"),
        (
            "WONDER_SIGNER_WEBHOOK__PUBLIC_KEY_FILE",
            "; did you mean WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY_FILE?",
        ),
        ("WONDER_SIGNER_CREDENTIALS__SHOP__PRIVAT_KEY", "; did you mean WONDER_SIGNER_CREDENTIALS__SHOP__PRIVATE_KEY?"),
    ] {
        assert_eq!(error_of_variable(name, "1"), format!("unknown environment variable {name}{error}"));
    }
}

#[cfg(unix)]
#[test]
fn a_non_utf8_variable_is_rejected_if_it_is_ours() {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = || OsString::from_vec(vec![0xff]);
    Config::load(&[], [(bytes(), bytes()), ("OTHER".into(), bytes())], &Flags::default()).unwrap();
    let error = Config::load(&[], [("WONDER_SIGNER_LIMITS__BODY".into(), bytes())], &Flags::default()).unwrap_err();
    assert_eq!(error.to_string(), "environment variable WONDER_SIGNER_LIMITS__BODY: is not UTF-8");
    let flags = Flags { ca_file: Some(bytes().into()), ..Flags::default() };
    let error = Config::load(&[], [], &flags).unwrap_err();
    assert_eq!(error.to_string(), "flag --ca-file: is not UTF-8");
}

#[test]
fn an_unreadable_file_is_named_with_the_reason() {
    let error = |path: &Path| Config::load(&[path.to_owned()], [], &Flags::default()).unwrap_err().to_string();
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    assert_eq!(
        error(&directory.path().join("none")),
        format!("{at}/none: cannot be read: No such file or directory (os error 2); create it, or correct its path")
    );
    assert_eq!(error(directory.path()), format!("{at}: is a directory, a file is needed; name the file in it"));
    let not_toml = "FILE line 2: not valid TOML: expected";
    for (line, hint) in [
        ("body = 1MiB", " newline, `#`; put a text in quotes, as in level = \"info\""),
        ("body: 1MiB", " `.`, `=`; write a key and its value as in level = \"info\""),
    ] {
        assert_eq!(error_of_file(&format!("[limits]\n{line}")), format!("{not_toml}{hint}"));
    }
    assert_eq!(error_of_file("[limits]\nbody = \"1MiB"), "FILE line 2: not valid TOML: invalid basic string");
    assert_eq!(
        error_of_file("[limits]\nbody = 1\nbody = 2"),
        "FILE line 3: not valid TOML: duplicate key `body` in table `limits`"
    );
}

#[test]
fn a_toml_list_in_a_variable_is_reported_as_such() {
    for name in ["LISTEN__ALLOWED_HOSTS", "LISTEN__ADDRESS", "LISTEN__TLS__CALLERS"] {
        for list in ["[]", "['a']", "[\"a\", \"b\"]"] {
            let variable = (format!("WONDER_SIGNER_{name}").into(), list.into());
            let error = Config::load(&[], [variable], &Flags::default()).unwrap_err().to_string();
            let reason =
                "is a TOML list, which only a file can have; separate the items by commas, without brackets and quotes";
            assert!(error.ends_with(reason), "{name} {list}: {error}");
        }
    }
    let variable = ("WONDER_SIGNER_LISTEN__ALLOWED_HOSTS".into(), "a.example, [::1]".into());
    let config = Config::load(&[], [variable], &Flags::default()).unwrap();
    assert_eq!(config.listen.allowed_hosts, ["a.example", "[::1]"]);
}
