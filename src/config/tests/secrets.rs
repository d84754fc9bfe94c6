//! A marker in place of a key shows in no output.

use super::*;

const MARKER: &str = "MARKERmarkerMARKER";

#[test]
fn an_inline_key_shows_in_no_output() {
    let config = Given::new()
        .variable("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", MARKER)
        .variable("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", APP_ID)
        .config();
    for output in
        [format!("{config:?}"), format!("{config:#?}"), explained(&config), config.to_masked_json().to_string()]
    {
        assert!(!output.contains(MARKER), "{output}");
        assert!(output.contains(APP_ID));
    }
    assert_eq!(config.to_masked_json()["credentials"]["default"]["private_key"], "(secret)");
}

#[test]
fn a_key_in_any_wrong_place_shows_in_no_error() {
    let pem = format!("-----BEGIN PRIVATE KEY-----\\n{MARKER}\\n-----END PRIVATE KEY-----");
    let long = MARKER.repeat(100);
    for value in [MARKER, &pem, &pem.replace("\\n", "\n"), &long] {
        for name in ["PRIVATE_KEY", "PRIVATE_KEY_FILE", "APP_ID", "APP_ID_FILE", "PRIVAT_KEY"] {
            let name = format!("WONDER_SIGNER_CREDENTIALS__DEFAULT__{name}");
            // Whether the whole loads or not (a short text may be a path), no error may repeat it as a value.
            match Given::new().variable(&name, value).load() {
                Ok(_) => panic!("half a credential was taken"),
                Err(error) => assert!(!format!("{error} {error:?}").contains(MARKER), "{error}"),
            }
        }
        let flags = Flags { private_key_file: Some(value.into()), app_id: Some(APP_ID.to_owned()), ..Flags::default() };
        if let Err(error) = Given::new().flags(flags).load() {
            assert!(!format!("{error} {error:?}").contains(MARKER), "{error}");
        } else {
            assert_eq!(value, MARKER, "only this can be a path");
        }
        let quoted = serde_json::Value::from(value).to_string();
        for toml in [
            format!("credentials = {quoted}"),
            format!("credentials.default = {quoted}"),
            format!("credentials.default.private_key = {quoted}"),
            format!("credentials.default.app_id = {quoted}"),
            format!("credentials.default.privat_key = {quoted}"),
            format!("private_key = {quoted}"),
            format!("private_key = {quoted} x"),
            format!("private_key = \"{value}"),
            format!("private_key = {value}"),
            format!("private_key = \"\\{value}\""),
            format!("private_key = [{quoted}, "),
            value.to_owned(),
        ] {
            let error = Given::new().file(&toml).load().unwrap_err();
            assert!(!format!("{error} {error:?}").contains(MARKER), "{toml}: {error}");
        }
    }
}

#[test]
fn the_credentials_of_a_proxy_show_in_no_output_and_no_error() {
    let config = Given::new().file(&format!("upstream.proxy = \"http://{MARKER}:{MARKER}@proxy:3128\"")).config();
    let encoded = "TUFSS0VS"; // How the marker begins in base64.
    for output in
        [format!("{config:?}"), format!("{config:#?}"), explained(&config), config.to_masked_json().to_string()]
    {
        assert!(!output.contains(MARKER) && !output.contains(encoded), "{output}");
        assert!(output.contains("http://(secret)@proxy:3128"), "{output}");
    }
    for bad in [
        format!("https://u:{MARKER}@proxy"),
        format!("http://u:{MARKER}@proxy:0"),
        format!("http://u:{MARKER}/x@proxy"),
        format!("u:{MARKER}"),
        format!("http://u:%{MARKER}@proxy"),
        MARKER.repeat(3) + ":x",
    ] {
        for name in ["HTTPS_PROXY", "https_proxy", "WONDER_SIGNER_UPSTREAM__PROXY"] {
            let error = Given::new().variable(name, &bad).load().unwrap_err();
            assert!(!format!("{error} {error:?}").contains(MARKER), "{error}");
        }
        let error = Given::new().file(&format!("upstream.proxy = \"{bad}\"")).load().unwrap_err();
        assert!(!format!("{error} {error:?}").contains(MARKER), "{error}");
    }
}
