//! An application that is a listener of the program itself: the start is refused, and the message names both keys.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _, UdpSocket},
    os::unix::fs::symlink,
};

use tempfile::TempDir;

use crate::support::{
    closed::Closed,
    program::{Ended, Program, environment},
    webhooks::key_file,
};

/// The end of `command` with these variables on top of the usual ones.
fn ended(command: &str, more: &[(&str, &str)]) -> Ended {
    let key = key_file();
    let key = ("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY_FILE", key.path().to_str().unwrap());
    let variables = [&environment("http://127.0.0.1:9")[..], &[key], more].concat();
    Program::run(&[command], &variables, b"")
}

/// Asserts that both commands refuse the application `forward_to` because of the listener `key`.
#[track_caller]
fn refused(commands: &[&str], more: &[(&str, &str)], forward_to: &str, listener: &str) {
    for command in commands {
        let variables = [more, &[("WONDER_SIGNER_WEBHOOK__FORWARD_TO", forward_to)]].concat();
        let ended = ended(command, &variables);
        let line = ended.err.lines().last().unwrap();
        let names_both =
            line.contains("webhook.forward_to") && line.contains(&format!("leads to {listener} of this program ("));
        assert!(ended.code() == Some(64) && names_both, "{command} {forward_to}: {ended:?}");
        assert!(line.contains(forward_to) && line.contains("set the address of the application"), "{line}");
    }
}

/// A port of loopback that no socket has.
fn port() -> u16 {
    Closed::port().origin().rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn a_listener_of_its_own_is_refused_as_application_by_run_and_check() {
    for (listener, variable) in [
        ("webhook.address", "WONDER_SIGNER_WEBHOOK__ADDRESS"),
        ("listen.address", "WONDER_SIGNER_LISTEN__ADDRESS"),
        ("admin.address", "WONDER_SIGNER_ADMIN__ADDRESS"),
    ] {
        let port = port();
        let bound = format!("127.0.0.1:{port}");
        let webhook = ("WONDER_SIGNER_WEBHOOK__ADDRESS", "127.0.0.1:0");
        let variables = [webhook, (variable, &bound)];
        for forward_to in [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}")] {
            refused(&["run", "check"], &variables, &forward_to, listener);
        }
    }
}

#[test]
fn a_wide_listener_is_found_by_every_loopback_name() {
    let port = port();
    for (bound, hosts) in [("0.0.0.0", &["127.0.0.1", "127.0.0.9", "localhost"][..]), ("[::]", &["[::1]", "127.0.0.1"])]
    {
        let address = format!("{bound}:{port}");
        for host in hosts {
            let variables = [("WONDER_SIGNER_WEBHOOK__ADDRESS", address.as_str())];
            refused(&["check"], &variables, &format!("http://{host}:{port}"), "webhook.address");
        }
    }
}

#[test]
fn an_application_of_one_credential_is_named_by_its_key() {
    let port = port();
    let (address, application) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let ended = ended(
        "run",
        &[
            ("WONDER_SIGNER_WEBHOOK__ADDRESS", &address),
            ("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_FORWARD_TO", &application),
        ],
    );
    let line = ended.refused(64);
    assert!(
        line.contains("credentials.default.webhook_forward_to") && line.contains("leads to webhook.address"),
        "{line}"
    );
}

#[test]
fn a_socket_file_is_found_by_every_path_to_it() {
    let directory = TempDir::new().unwrap();
    let place = |name: &str| format!("unix:{}", directory.path().join(name).display());
    symlink(directory.path().join("in.sock"), directory.path().join("out.sock")).unwrap();
    symlink(directory.path(), directory.path().join("again")).unwrap();
    let inbound = place("in.sock");
    let variables = [("WONDER_SIGNER_WEBHOOK__ADDRESS", inbound.as_str())];
    refused(&["run", "check"], &variables, &inbound, "webhook.address");
    // Only the bound file shows these.
    for path in ["out.sock", "again/in.sock"] {
        refused(&["run"], &variables, &place(path), "webhook.address");
    }
    assert!(!directory.path().join("in.sock").exists(), "a start that is refused leaves no socket");
}

/// An address of this machine that is not loopback, if it has one: the one from which it would send elsewhere.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[test]
fn another_address_or_name_of_the_machine_is_found_at_the_start() {
    let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let address = format!("0.0.0.0:{port}");
    let variables = [
        ("WONDER_SIGNER_WEBHOOK__ADDRESS", address.as_str()),
        ("WONDER_SIGNER_WEBHOOK__DANGEROUS_ALLOW_NON_LOOPBACK_FORWARD", "true"),
    ];
    if let Some(own) = own_address() {
        refused(&["run"], &variables, &format!("http://{}", SocketAddr::new(own, port)), "webhook.address");
    }
    refused(&["run"], &variables, &format!("http://0.0.0.0:{port}"), "webhook.address");
    let name = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let is_own = |address: SocketAddr| address.is_ipv4() && UdpSocket::bind((address.ip(), 0)).is_ok();
    if (name.as_str(), port).to_socket_addrs().is_ok_and(|mut found| found.any(is_own)) {
        refused(&["run"], &variables, &format!("http://{}:{port}", name.to_lowercase()), "webhook.address");
    }
}
