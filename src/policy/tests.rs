use super::*;

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn with_certificate(name: Option<&str>) -> Caller {
    Caller::Certificate { name: name.map(|name| name.parse().unwrap()), address: "10.0.0.7:40000".parse().unwrap() }
}

/// Every kind of caller: local ones, and certificates with these names.
fn callers() -> Vec<(&'static str, Caller)> {
    vec![
        ("unknown", Caller::Unknown),
        ("unix", Caller::UnixSocket),
        ("loopback", Caller::Tcp("127.0.0.1:40000".parse().unwrap())),
        ("elsewhere", Caller::Tcp("10.0.0.7:40000".parse().unwrap())),
        ("nameless", with_certificate(None)),
        ("shop", with_certificate(Some("shop"))),
        ("SHOP", with_certificate(Some("SHOP"))),
        ("stranger", with_certificate(Some("stranger"))),
        ("uri", with_certificate(Some("spiffe://example/Refunds"))),
        ("another uri", with_certificate(Some("spiffe://example/refunds"))),
    ]
}

#[test]
fn the_listener_admits_listed_certificates_and_every_caller_without_one() {
    use Denial::{Nameless, NotAdmitted, Unknown};
    let all = [("unknown", Unknown), ("nameless", Nameless)];
    let some = [("unknown", Unknown), ("nameless", Nameless), ("stranger", NotAdmitted), ("another uri", NotAdmitted)];
    for (listed, denied) in [(&[][..], &all[..]), (&["shop", "spiffe://example/Refunds"], &some)] {
        let policy = Policy::new(names(listed));
        for (kind, caller) in callers() {
            let expected = denied.iter().find(|(denied, _)| *denied == kind).map(|(_, denial)| denial.clone());
            assert_eq!(policy.admit(&caller).err(), expected, "{listed:?}: {kind}");
        }
    }
}

#[test]
fn a_credential_that_lists_callers_is_for_those_alone() {
    let policy = Policy::new(Vec::new())
        .restrict("payouts", names(&["Shop", "spiffe://example/Refunds"]))
        .restrict("closed", Vec::new());
    for (credential, allowed) in
        [("default", None), ("payouts", Some(&["shop", "SHOP", "uri"][..])), ("Payouts", None), ("closed", Some(&[]))]
    {
        for (kind, caller) in callers() {
            let decision = policy.allow(&Use { caller: &caller, credential });
            let expected = allowed.map_or(kind != "unknown", |allowed| allowed.contains(&kind));
            assert_eq!(decision.is_ok(), expected, "{credential}: {kind}");
        }
    }
}

#[test]
fn a_denial_names_the_key_and_the_caller() {
    let policy = Policy::new(names(&["shop"])).restrict("payouts", names(&["refunds"]));
    let allow = |caller: &Caller| policy.allow(&Use { caller, credential: "payouts" }).unwrap_err().to_string();
    let remedy = ": X-Wonder-Signer-Credential must name one whose callers (credentials.NAME.callers) include it, or be left out where those \
                  of credentials.default do";
    assert_eq!(allow(&with_certificate(Some("Shop"))), format!("no such credential for caller shop{remedy}"));
    assert_eq!(allow(&Caller::UnixSocket), format!("no such credential for caller without a certificate{remedy}"));
    // The same for a credential that is not configured, unless nothing is to be concealed.
    let unknown = policy.conceal(&with_certificate(Some("Shop"))).unwrap_err().to_string();
    assert_eq!(unknown, allow(&with_certificate(Some("Shop"))));
    assert_eq!(Policy::new(names(&["shop"])).conceal(&with_certificate(Some("Shop"))), Ok(()));
    let admit = |name| policy.admit(&with_certificate(name)).unwrap_err().to_string();
    assert_eq!(admit(Some("stranger")), "the caller of this certificate is not in listen.tls.callers");
    assert!(admit(None).contains("no DNS name and no URI"));
}

#[test]
fn every_listed_name_is_known_to_metrics() {
    let policy = Policy::new(names(&["shop", "Refunds"])).restrict("payouts", names(&["refunds", "batch"]));
    let all: Vec<&str> = policy.names().map(Name::as_str).collect();
    assert_eq!(all, ["shop", "refunds", "refunds", "batch"]);
}
