use std::collections::BTreeSet;

use wonder_signer::{
    app::StartError,
    config::{Config, Flags},
};

use super::signed_by;
use crate::support::{
    sidecar::{APP_ID, Sidecar, metric},
    transport::Transport,
    upstream::Recorder,
    volume::{UNITS, Volume},
    wire::{exchange, request},
};

const CHOICE: &str = "X-Wonder-Signer-Credential";

#[tokio::test]
async fn each_business_has_its_own_origin_and_connections() -> Result<(), StartError> {
    let (usual, other) = (Recorder::start().await, Recorder::start().await);
    let volumes = [0, 1].map(|unit| Volume::of(&UNITS[unit]));
    let toml = format!(
        "[listen]\nmixed_environments = true\n[credentials.default]\n{}[credentials.shop]\n{}environment = \"custom\"\norigin = \"{}\"",
        volumes[0].toml(),
        volumes[1].toml(),
        other.origin()
    );
    let sidecar = Sidecar::with_credentials(&usual.origin(), &toml).await?;
    for (name, upstream, unit) in [("default", &usual, 0), ("shop", &other, 1), ("shop", &other, 1)] {
        let choice = [("X-Wonder-Signer-Credential", name)];
        assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &choice, b"{}")).await.status(), 200);
        assert_eq!(signed_by(&upstream.next().await).app_id, UNITS[unit].app_id);
    }
    assert_eq!((usual.connections(), other.connections()), (1, 1));
    let count = |name| format!(r#"wonder_signer_credential_responses_total{{credential="{name}",result="accepted"}}"#);
    assert!((metric(sidecar.admin, &count("default")).await - 1.0).abs() < f64::EPSILON);
    assert!((metric(sidecar.admin, &count("shop")).await - 2.0).abs() < f64::EPSILON);
    Ok(())
}

#[test]
fn one_listener_serves_one_environment_unless_it_is_allowed_more() {
    let load = |toml: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, toml.as_bytes()).unwrap();
        Config::load(&[file.path().to_owned()], [], &Flags::default()).map(drop).map_err(|error| error.to_string())
    };
    let two = format!(
        "[credentials.default]\napp_id = \"{APP_ID}\"\nprivate_key_file = \"/a.pem\"\n\
         [credentials.live]\napp_id = \"{APP_ID}\"\nprivate_key_file = \"/b.pem\"\nenvironment = \"production\"\n"
    );
    let error = load(&two).unwrap_err();
    assert!(
        error.starts_with("credentials.live.environment = \"production\" (from ")
            && error.contains("credentials.default is for staging (https://gateway-stg.wonder.today) and credentials.live for production")
            && error.ends_with("or set listen.mixed_environments = true"),
        "{error}"
    );
    load(&format!("{two}[listen]\nmixed_environments = true\n")).unwrap();
    let error = load(&two.replace("environment = \"production\"", "origin = \"https://127.0.0.1:1\"")).unwrap_err();
    assert!(
        error.contains("credentials.live.origin") && error.contains("credentials.live.environment = \"custom\""),
        "{error}"
    );
    let error = load(&two.replace("environment = \"production\"", "keep_old = \"1m\"")).unwrap_err();
    assert!(error.contains("credentials.live.keep_old") && error.ends_with("set credentials.live.next"), "{error}");
}

#[tokio::test]
async fn a_credential_with_callers_serves_no_other_caller() {
    let upstream = Recorder::start().await;
    let volumes = [0, 1].map(|unit| Volume::of(&UNITS[unit]));
    // The caller's certificate names it "shop".
    let transport = Transport::tls();
    let Transport::Tls { mounted, .. } = &transport else { unreachable!() };
    let toml = mounted.toml(&format!(
        "[credentials.default]\n{}callers = [\"shop\"]\n[credentials.payouts]\n{}callers = [\"refunds\"]\n[credentials.broken]\n{}callers \
         = [\"refunds\"]",
        volumes[0].toml(),
        volumes[1].toml(),
        Volume::empty().toml()
    ));
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap();
    // The answer is the same for a credential of others, one whose files cannot be used, and one that does not exist.
    let mut answers = BTreeSet::new();
    for choice in [
        &[(CHOICE, "payouts")][..],
        &[(CHOICE, "broken")],
        &[(CHOICE, "none")],
        &[(CHOICE, "PAYOUTS")],
        &[(CHOICE, "")],
        &[(CHOICE, "a b")],
        &[(CHOICE, "default"), (CHOICE, "default")],
        &[(CHOICE, "default, payouts")],
    ] {
        let got = transport.exchange(sidecar.listen, &request("POST", "/svc/a", choice, b"{}")).await;
        assert_eq!(got.contract(), (403, "policy_denied".to_owned(), "no".to_owned()), "{choice:?}");
        let id = got.value("x-request-id").unwrap().to_owned();
        answers.insert(got.text().replace(&id, ""));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    let answer = answers.first().unwrap();
    assert!(answer.contains("no such credential for caller shop") && !answer.contains("payouts"), "{answer}");
    let page = exchange(sidecar.admin, &request("GET", "/metrics", &[], b"")).await.text();
    assert!(!page.contains("PAYOUTS") && !page.contains("credential=\"none\""), "labels are configured names alone");
    let spaced = [(CHOICE, "  default  ")];
    assert_eq!(transport.exchange(sidecar.listen, &request("POST", "/svc/a", &spaced, b"{}")).await.status(), 200);
    assert_eq!(signed_by(&upstream.next().await).app_id, UNITS[0].app_id);
    assert_eq!(transport.exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    assert_eq!(signed_by(&upstream.next().await).app_id, UNITS[0].app_id);
}
