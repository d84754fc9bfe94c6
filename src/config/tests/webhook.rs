//! What the keys of `[webhook]` mean together, and with the credentials.

use super::*;

const LISTENER: &str = "webhook = { address = \"127.0.0.1:0\", forward_to = \"http://127.0.0.1:3000\" }\n";

fn credential(more: &str) -> String {
    format!("[credentials.default]\napp_id = \"{APP_ID}\"\nprivate_key_file = \"/key.pem\"\n{more}")
}

#[test]
fn a_listener_needs_a_webhook_key_and_an_application_for_every_credential() {
    let key = "webhook_public_key_file = \"/webhook.pem\"\n";
    assert_eq!(
        error_of_file(&format!("{LISTENER}{}", credential(""))),
        "credentials.default (from FILE): has no webhook_public_key_file; webhook.address is set, so set \
         credentials.default.webhook_public_key_file to a file with the \"Webhook Public Key\" that Wonder's portal shows for this AppID"
    );
    assert_eq!(
        error_of_file(&format!("webhook.address = \"unix:/hook.sock\"\n{}", credential(key))),
        "credentials.default (from FILE): has no webhook_forward_to; webhook.address is set, so set webhook.forward_to, \
         for example to \"http://127.0.0.1:3000\""
    );
    let own = format!("{key}webhook_forward_to = \"http://127.0.0.1:4000\"\n");
    for (listener, more, expected) in [
        (LISTENER, key, "http://127.0.0.1:3000"),
        (LISTENER, &own, "http://127.0.0.1:4000"),
        ("webhook.address = \"[::1]:0\"\n", &own, "http://127.0.0.1:4000"),
    ] {
        let config = Given::new().file(&format!("{listener}{}", credential(more))).config();
        let application = config.webhook.application_of(&config.credentials["default"]).unwrap();
        assert_eq!(application.to_string(), expected);
    }
    // Without a listener nothing is needed.
    assert!(Given::new().file(&credential("")).load().is_ok());
}

#[test]
fn a_webhook_key_from_the_environment_shows_in_no_output() {
    let given =
        Given::new().file(&credential("")).variable("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY", "MARKER");
    let config = given.config();
    let Some(KeySource::Inline(text)) = &config.credentials["default"].unit.webhook_public_key else {
        panic!("not inline")
    };
    assert_eq!(text.expose(), "MARKER");
    let shown = explained(&config);
    assert!(shown.contains("credentials.default.webhook_public_key = \"(secret)\"  # environment variable"), "{shown}");
    assert!(!format!("{config:?}{shown}{}", config.to_masked_json()).contains("MARKER"));
    let error = given.file(&credential("webhook_public_key_file = \"/webhook.pem\"")).load().unwrap_err().to_string();
    assert!(
        error.contains("cannot be set together with credentials.default.webhook_public_key_file (from "),
        "{error}"
    );
    assert!(error.ends_with("; set only one of them") && !error.contains("MARKER"), "{error}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn settings_of_the_webhook_listener_are_refused_with_key_layer_and_remedy() {
    for (toml, error) in [
        (
            "[webhook]\naddress = \"8081\"",
            "webhook.address = \"8081\" (from FILE): not an IP address with port; write for example \"127.0.0.1:8080\"",
        ),
        (
            "[webhook]\nforward_to = \"https://127.0.0.1\"",
            "webhook.forward_to = \"https://127.0.0.1\" (from FILE): is https; the application receives webhooks over plain http, on \
             loopback or a Unix socket",
        ),
        (
            "[webhook]\nforward_to = \"http://shop.internal\"",
            "webhook.forward_to = \"http://shop.internal\" (from FILE): is not on loopback: webhooks go there over plain HTTP, and \
             others that reach the application can send it webhooks that nothing has verified; to allow it set \
             webhook.dangerous_allow_non_loopback_forward = true",
        ),
        (
            "[credentials.default]\napp_id = \"APP_ID\"\nprivate_key_file = \"/x\"\nwebhook_forward_to = \"http://10.0.0.1\"",
            "credentials.default.webhook_forward_to (from FILE): is not on loopback: webhooks go there over plain HTTP, and others that \
             reach the application can send it webhooks that nothing has verified; to allow it set \
             webhook.dangerous_allow_non_loopback_forward = true",
        ),
        (
            "[credentials.default]\nwebhook_public_key = \"x\"",
            "credentials.default.webhook_public_key (from FILE): must not be inline in a file; use webhook_public_key_file or the environment",
        ),
        (
            "[webhook]\npath_prefixes = [\"/a/../b\"]",
            "webhook.path_prefixes (from FILE): not a path; write for example \"/payments/wonder\": visible ASCII, without query and \
             without \".\" or \"..\" as a segment",
        ),
        (
            "[webhook]\noriginal_target_header = \"Host\"",
            "webhook.original_target_header = \"Host\" (from FILE): names a header with a meaning of its own; let the proxy set \
             another, for example \"X-Original-URI\"",
        ),
        (
            "[webhook]\noriginal_target_header = \"X-Action\"",
            "webhook.original_target_header = \"X-Action\" (from FILE): names a header with a meaning of its own; let the proxy set \
             another, for example \"X-Original-URI\"",
        ),
        (
            "[webhook]\noriginal_target_header = \"x-wonder-signer-verified\"",
            "webhook.original_target_header = \"x-wonder-signer-verified\" (from FILE): names a header with a meaning of its own; let the \
             proxy set another, for example \"X-Original-URI\"",
        ),
        (
            "[webhook]\noriginal_target_header = \"X Original\"",
            "webhook.original_target_header = \"X Original\" (from FILE): not the name of a header (letters, digits, \"-\"); write for \
             example \"X-Original-URI\"",
        ),
        (
            "[webhook]\noriginal_target_prefix = \"/\"",
            "webhook.original_target_prefix = \"/\" (from FILE): changes nothing; leave it out",
        ),
        (
            "[webhook]\noriginal_target_header = \"X-Original-URI\"\noriginal_target_prefix = \"/payments\"",
            "webhook.original_target_prefix = \"/payments\" (from FILE): cannot be set together with webhook.original_target_header (from FILE); set \
             only one of them",
        ),
        (
            "[webhook]\ntolerance = \"0s\"",
            "webhook.tolerance = \"0s\" (from FILE): out of bounds; 1s to 30days is accepted",
        ),
        ("[webhook]\nremember = -1", "webhook.remember = -1 (from FILE): not a whole number"),
        (
            "[webhook]\nsource_addresses = [\"wonder\"]",
            "webhook.source_addresses (from FILE): not an IP address or a network; write for example \"203.0.113.0/24\"",
        ),
        (
            "[webhook]\ntrusted_proxies = [\"10.0.0.0/8\"]",
            "webhook.trusted_proxies (from FILE): needs webhook.source_addresses, for which it is read",
        ),
        (
            "[webhook.tls]\ncertificate_file = \"/a\"",
            "webhook.tls.certificate_file = \"/a\" (from FILE): needs webhook.tls.key_file; set both or none",
        ),
        (
            "[webhook]\naddress = \"unix:/hook.sock\"\ntls = { certificate_file = \"/a\", key_file = \"/b\" }",
            "webhook.tls.certificate_file = \"/a\" (from FILE): is allowed only with an IP address in webhook.address; a Unix socket is plain",
        ),
        (
            "[webhook.redis]\nurl = \"redis://:MARKER@redis\"",
            "webhook.redis.url (from FILE): holds a password; leave it out, and write it into a file that \
             webhook.redis.password_file names",
        ),
        (
            "[webhook.redis]\nurl = \"rediss://b\u{fc}cher.example\"",
            "webhook.redis.url (from FILE): has a host name with letters beyond ASCII; write its ASCII form, in which such a label begins \
             with \"xn--\"",
        ),
        ("[webhook.redis]\npassword_file = \"/x\"", "webhook.redis.password_file (from FILE): needs webhook.redis.url"),
        (
            "[webhook.redis]\nurl = \"redis://redis\"\nca_file = \"/x\"",
            "webhook.redis.ca_file = \"/x\" (from FILE): is allowed only with rediss:// in webhook.redis.url; redis:// has no TLS",
        ),
        (
            "[webhook]\nredis_url = \"redis://redis\"",
            "unknown key webhook.redis_url (from FILE); did you mean webhook.redis.url?",
        ),
    ] {
        assert_eq!(error_of_file(&toml.replace("APP_ID", APP_ID)), error, "{toml}");
    }
}
