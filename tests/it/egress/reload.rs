//! The files of `[upstream]` change under a running sidecar, and so does the origin.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::doubles::{Authority, Manner, TlsServer};
use crate::support::{
    caller::{Caller, Outcome},
    sidecar::{Sidecar, until},
    wire::{exchange, request},
};

const RELOADED: &str = r#"wonder_signer_certificate_reloads_total{files="upstream",result="ok"}"#;
const FAILED: &str = r#"wonder_signer_certificate_reloads_total{files="upstream",result="failed"}"#;
const OUTDATED: &str = r#"wonder_signer_certificates_outdated{files="upstream"}"#;

/// As editors and agents replace a file: never half of it is there.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

/// The status of a call on a new connection to the origin.
async fn status(sidecar: &Sidecar) -> u16 {
    exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status()
}

#[tokio::test]
async fn a_renewed_ca_and_client_certificate_are_used_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(|name| directory.path().join(name));
    let old = (Authority::named("old servers"), Authority::named("old clients"));
    let new = (Authority::named("new servers"), Authority::named("new clients"));
    let put = |servers: &Authority, clients: &Authority| {
        let client = clients.issue(&["client"], |_| ());
        replace(&ca, &servers.pem());
        replace(&certificate, &client.certificate_pem());
        replace(&key, &client.key_pem());
    };
    put(&old.0, &old.1);
    let server =
        TlsServer::start(&old.0.issue(&["127.0.0.1"], |_| ()), Manner { clients: Some(&old.1), ..Manner::default() })
            .await;
    // Each request needs a connection, which shows what the files hold.
    let toml = format!(
        "[upstream]\npool_max_idle = 0\nca_file = {ca:?}\nclient_certificate_file = {certificate:?}\nclient_key_file = {key:?}"
    );
    let sidecar = Sidecar::with(&server.origin(), &toml).await;
    assert_eq!(status(&sidecar).await, 200);
    // Bad files leave the old ones in use, each by itself.
    for (count, (path, text)) in (1_u32..).zip([
        (&ca, String::new()),
        (&ca, old.0.pem()[..200].to_owned()),
        (&certificate, "no certificate".to_owned()),
        (&key, new.1.issue(&["client"], |_| ()).key_pem()),
    ]) {
        let before = fs::read_to_string(path).unwrap();
        replace(path, &text);
        sidecar.reload.now();
        until(sidecar.admin, FAILED, f64::from(count)).await;
        until(sidecar.admin, OUTDATED, 1.0).await;
        assert_eq!(status(&sidecar).await, 200, "{}", path.display());
        replace(path, &before);
    }
    sidecar.reload.now();
    until(sidecar.admin, RELOADED, 1.0).await;
    until(sidecar.admin, OUTDATED, 0.0).await;
    // The origin renews both ends. Without a signal the files are read within seconds.
    server.changes_to(&new.0.issue(&["127.0.0.1"], |_| ()), &Manner { clients: Some(&new.1), ..Manner::default() });
    assert_eq!(status(&sidecar).await, 502);
    put(&new.0, &new.1);
    until(sidecar.admin, RELOADED, 2.0).await;
    assert_eq!(status(&sidecar).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_the_origin_and_the_ca_change() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let (old, new) = (Authority::named("old"), Authority::named("new"));
    replace(&ca, &old.pem());
    let server = TlsServer::start(&old.issue(&["127.0.0.1"], |_| ()), Manner::default()).await;
    let toml = format!("[timeouts]\nsign = \"20s\"\nqueue = \"20s\"\n[upstream]\npool_max_idle = 0\nca_file = {ca:?}");
    let sidecar = Sidecar::with(&server.origin(), &toml).await;
    let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let caller = async || {
        let mut caller = Caller::connect(sidecar.listen).await;
        while !over.load(Ordering::Relaxed) {
            let outcome = caller.ask(&request("POST", "/svc/a", &[], b"{}")).await;
            assert!(matches!(outcome, Outcome::Forwarded { status: 200, whole: true, .. }), "{outcome:?}");
            sent.fetch_add(1, Ordering::Relaxed);
        }
    };
    let change = async {
        // As an authority is changed: both are trusted, then the origin changes, then the old one goes.
        replace(&ca, &format!("{}{}", old.pem(), new.pem()));
        sidecar.reload.now();
        until(sidecar.admin, RELOADED, 1.0).await;
        server.changes_to(&new.issue(&["127.0.0.1"], |_| ()), &Manner::default());
        replace(&ca, &new.pem());
        sidecar.reload.now();
        until(sidecar.admin, RELOADED, 2.0).await;
        let last = sent.load(Ordering::Relaxed) + 20;
        while sent.load(Ordering::Relaxed) < last {
            tokio::task::yield_now().await;
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(caller(), caller(), change);
}
