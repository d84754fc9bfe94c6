//! Routes to the webhook listener and from it: TLS, Unix sockets, rewriting reverse proxies, source addresses, several applications.

use std::io::Write as _;

use tokio::{
    io::AsyncWriteExt as _,
    net::{UnixListener, UnixStream},
};
use wonder_signer::config::ListenAddress;

use crate::support::{
    authority::{Authority, caller, dial},
    patience::soon,
    sidecar::{KEY_PEM, Sidecar, until},
    upstream::Recorder,
    webhooks::{Delivery, PAID, WONDER, key_file, now, receiver_of},
    wire::{OK, read_message},
};

#[tokio::test]
async fn webhooks_arrive_and_are_forwarded_over_unix_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let (inbound, outbound) = (directory.path().join("in"), directory.path().join("out"));
    let application = UnixListener::bind(&outbound).unwrap();
    let file = key_file();
    let toml = format!(
        "webhook.address = \"unix:{}\"\nwebhook.forward_to = \"unix:{}\"\ncredentials.default.webhook_public_key_file = \"{}\"\n\
         webhook.source_addresses = [\"119.8.39.23\"]",
        inbound.display(),
        outbound.display(),
        file.path().display()
    );
    let sidecar = Sidecar::with("http://127.0.0.1:9", &toml).await;
    assert_eq!(sidecar.webhook_at, Some(ListenAddress::Unix(inbound.clone())));
    let delivery = Delivery::paid().and("X-Forwarded-For", "119.8.39.23");
    let mut sender = UnixStream::connect(&inbound).await.unwrap();
    sender.write_all(&delivery.bytes()).await.unwrap();
    let (mut stream, _) = soon(application.accept()).await.unwrap();
    let received = soon(read_message(&mut stream, false)).await.unwrap();
    assert_eq!((received.value("host"), &received.body), (Some("localhost"), &delivery.body));
    stream.write_all(OK).await.unwrap();
    assert_eq!(soon(read_message(&mut sender, false)).await.unwrap().status(), 200);
    let unknown = Delivery::paid();
    let mut sender = UnixStream::connect(&inbound).await.unwrap();
    sender.write_all(&unknown.bytes()).await.unwrap();
    assert_eq!(soon(read_message(&mut sender, false)).await.unwrap().status(), 401);
}

#[tokio::test]
async fn webhooks_arrive_over_tls_without_a_client_certificate() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"], "");
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    std::fs::write(&certificate, issued.certificate.pem()).unwrap();
    std::fs::write(&key, issued.key.serialize_pem()).unwrap();
    let application = Recorder::start().await;
    let toml = format!(
        "webhook.tls.certificate_file = \"{}\"\nwebhook.tls.key_file = \"{}\"",
        certificate.display(),
        key.display()
    );
    let (_sidecar, address) = receiver_of(&application, &toml).await;
    let mut stream = dial(address, &caller(&[&authority], None, &["http/1.1"])).await.unwrap();
    stream.write_all(&Delivery::paid().bytes()).await.unwrap();
    assert_eq!(soon(read_message(&mut stream, false)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_renewed_certificate_of_the_webhook_listener_is_used_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let [first, second] = [&old, &new].map(|authority| authority.issue(&["localhost"], ""));
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    std::fs::write(&certificate, first.certificate.pem()).unwrap();
    std::fs::write(&key, first.key.serialize_pem()).unwrap();
    let application = Recorder::start().await;
    let toml = format!("webhook.tls.certificate_file = {certificate:?}\nwebhook.tls.key_file = {key:?}");
    let (sidecar, address) = receiver_of(&application, &toml).await;
    let delivered = async |authority: &Authority| {
        let mut stream = dial(address, &caller(&[authority], None, &["http/1.1"])).await.unwrap();
        stream.write_all(&Delivery::paid().bytes()).await.unwrap();
        soon(read_message(&mut stream, false)).await.unwrap().status()
    };
    let reloads =
        |result: &str| format!("wonder_signer_certificate_reloads_total{{files=\"webhook.tls\",result=\"{result}\"}}");
    // The certificate has been replaced, its key has not.
    std::fs::write(&certificate, second.certificate.pem()).unwrap();
    sidecar.reload.now();
    until(sidecar.admin, &reloads("failed"), 1.0).await;
    until(sidecar.admin, "wonder_signer_certificates_outdated{files=\"webhook.tls\"}", 1.0).await;
    assert_eq!(delivered(&old).await, 200);
    std::fs::write(&key, second.key.serialize_pem()).unwrap();
    until(sidecar.admin, &reloads("ok"), 1.0).await;
    assert_eq!(delivered(&new).await, 200);
}

#[tokio::test]
async fn the_target_that_a_proxy_rewrote_is_restored_verified_and_forwarded() {
    let application = Recorder::start().await;
    let signed = Delivery::of("/payments/hook?src=w", PAID);
    let rewritten = |target: &str| Delivery { target: target.to_owned(), ..signed.clone() };
    let header = "webhook.original_target_header = \"X-Original-URI\"\nwebhook.path_prefixes = [\"/payments\"]";
    let (sidecar, address) = receiver_of(&application, header).await;
    for (delivery, reason) in [
        (rewritten("/internal"), Some("original_target_missing")),
        (rewritten("/internal").and("X-Original-URI", "/internal"), Some("path")),
        (rewritten("/payments/hook?src=w").and("X-Original-URI", "/payments/other"), Some("signature_mismatch")),
        (rewritten("/internal").and("X-Original-URI", "payments/hook"), Some("original_target_invalid")),
        (
            rewritten("/internal").and("X-Original-URI", &signed.target).and("X-Original-URI", &signed.target),
            Some("original_target_repeated"),
        ),
        (rewritten("/internal").and("X-Original-URI", &signed.target), None),
    ] {
        assert_eq!(delivery.send(address).await.status(), if reason.is_some() { 401 } else { 200 }, "{reason:?}");
        if let Some(reason) = reason {
            let series = format!("wonder_signer_webhook_errors_total{{reason=\"{reason}\"}}");
            assert!((sidecar.metric(&series).await - 1.0).abs() < f64::EPSILON, "{reason}");
        }
    }
    let received = application.next().await;
    assert_eq!(received.start_line(), "POST /payments/hook?src=w HTTP/1.1");
    assert_eq!(received.value("x-original-uri"), None);
    let (_sidecar, address) = receiver_of(&application, "webhook.original_target_prefix = \"/payments\"").await;
    assert_eq!(signed.send(address).await.status(), 401);
    assert_eq!(rewritten("/hook?src=w").send(address).await.status(), 200);
    assert_eq!(application.next().await.start_line(), "POST /payments/hook?src=w HTTP/1.1");
}

#[tokio::test]
async fn a_path_outside_the_prefixes_and_a_source_that_is_not_listed_are_rejected_before_the_body_is_read() {
    let application = Recorder::start().await;
    let toml = "webhook.path_prefixes = [\"/hooks\"]\nwebhook.source_addresses = [\"119.8.39.23\"]\n\
                webhook.trusted_proxies = [\"127.0.0.1\"]";
    let (sidecar, address) = receiver_of(&application, toml).await;
    let from = |delivery: Delivery, source: &str| delivery.and("X-Forwarded-For", source);
    for (delivery, reason) in [
        (from(Delivery::of("/admin", PAID), "119.8.39.23"), "path"),
        (from(Delivery::of("/hooks/../admin", PAID), "119.8.39.23"), "path"),
        (from(Delivery::paid(), "119.8.39.23, 192.0.2.1"), "source_address"),
        (Delivery::paid(), "source_address"),
    ] {
        let head = Delivery { body: Vec::new(), ..delivery }.and("Content-Length", "1000");
        assert_eq!(head.send(address).await.status(), 401, "{reason}");
        assert!(sidecar.metric(&format!("wonder_signer_webhook_errors_total{{reason=\"{reason}\"}}")).await >= 1.0);
    }
    assert_eq!(from(Delivery::paid(), "119.8.39.23").send(address).await.status(), 200);
}

#[tokio::test]
async fn each_credential_may_have_an_application_of_its_own() {
    const REFUNDS: &str = "3f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e13";
    let (shop, refunds) = (Recorder::start().await, Recorder::start().await);
    let mut key = tempfile::NamedTempFile::new().unwrap();
    key.write_all(KEY_PEM.as_bytes()).unwrap();
    let wonder = key_file();
    let toml = format!(
        "credentials.refunds.app_id = \"{REFUNDS}\"\ncredentials.refunds.private_key_file = \"{}\"\n\
         credentials.refunds.webhook_public_key_file = \"{}\"\ncredentials.refunds.webhook_forward_to = \"{}\"",
        key.path().display(),
        wonder.path().display(),
        refunds.origin()
    );
    let (_sidecar, address) = receiver_of(&shop, &toml).await;
    assert_eq!(Delivery::paid().send(address).await.status(), 200);
    assert_eq!(Delivery::signed(&WONDER, REFUNDS, now(), "/", PAID).send(address).await.status(), 200);
    assert_eq!(shop.next().await.value("x-wonder-signer-verified"), Some("default"));
    assert_eq!(refunds.next().await.value("x-wonder-signer-verified"), Some("refunds"));
    assert_eq!(shop.waiting() + refunds.waiting(), 0);
}
