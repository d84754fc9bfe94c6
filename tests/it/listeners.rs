//! The addresses of plain listeners: IPv4, IPv6, Unix sockets, several at once.

use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpStream, UnixListener, UnixStream},
};
use wonder_signer::{config::ListenAddress, net::listen::Listener};

use crate::support::{
    patience::soon,
    sidecar::{Sidecar, assert_signed},
    upstream::Recorder,
    wire::{read_message, request},
};

#[tokio::test]
async fn requests_are_served_on_every_address() {
    let upstream = Recorder::start().await;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("signer.sock");
    // A machine may have no IPv6.
    let six = if std::net::TcpListener::bind("[::1]:0").is_ok() { "[::1]:0" } else { "127.0.0.1:0" };
    let listen = format!("127.0.0.1:0, {six}, unix:{}", socket.display());
    let sidecar = Sidecar::listening(&listen, &upstream.origin(), "").await.unwrap();
    assert_eq!(sidecar.all.len(), 3);
    for address in &sidecar.all {
        let status = match address {
            ListenAddress::Tcp(address) => ask(TcpStream::connect(address).await.unwrap()).await,
            ListenAddress::Unix(path) => ask(UnixStream::connect(path).await.unwrap()).await,
        };
        assert_eq!(status, 200, "{address}");
        assert_signed(&upstream.next().await);
    }
    sidecar.stop().await;
    assert!(!socket.exists(), "the listener removes its socket file");
}

#[tokio::test]
async fn a_socket_has_the_configured_mode() {
    let directory = tempfile::tempdir().unwrap();
    for mode in ["0600", "0660", "666"] {
        let socket = directory.path().join(mode);
        let listen = format!("unix:{}", socket.display());
        let toml = format!("[listen]\nsocket_mode = \"{mode}\"");
        let sidecar = Sidecar::listening(&listen, "http://127.0.0.1:1", &toml).await.unwrap();
        let bits = std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
        assert_eq!(bits, u32::from_str_radix(mode, 8).unwrap());
        sidecar.stop().await;
    }
}

/// Not even at first: the process's umask, usually 022, would leave a new file readable for all until a later `chmod`.
#[tokio::test]
async fn a_socket_file_never_has_more_permissions_than_configured() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_owned();
    let (done, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let watching = std::thread::spawn({
        let (done, seen) = (Arc::clone(&done), Arc::clone(&seen));
        move || {
            let mut modes = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                for file in std::fs::read_dir(&place).unwrap().flatten() {
                    if let Ok(metadata) = file.metadata() {
                        modes.insert(metadata.permissions().mode() & 0o777);
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            modes
        }
    });
    let address = ListenAddress::Unix(directory.path().join("signer.sock"));
    soon(async {
        let mut bound = 0;
        // A busy machine may run the watching thread late.
        while bound < 3000 || seen.load(Ordering::Relaxed) < 100 {
            drop(Listener::bind(&address, 0o600, 1).await.unwrap());
            tokio::task::yield_now().await;
            bound += 1;
        }
    })
    .await;
    done.store(true, Ordering::Relaxed);
    assert_eq!(watching.join().unwrap(), BTreeSet::from([0o600]));
}

#[tokio::test]
async fn every_host_is_accepted_over_a_unix_socket_and_only_there() {
    let upstream = Recorder::start().await;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("signer.sock");
    let listen = format!("127.0.0.1:0, unix:{}", socket.display());
    let sidecar = Sidecar::listening(&listen, &upstream.origin(), "").await.unwrap();
    for host in ["signer.sock", "", "evil.example:99", "%2Frun%2Fsigner.sock", "caf\u{e9}"] {
        for target in ["/svc/a", "http://evil.example/svc/a"] {
            let bytes = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let mut local = UnixStream::connect(&socket).await.unwrap();
            local.write_all(bytes.as_bytes()).await.unwrap();
            assert_eq!(read_message(&mut local, false).await.unwrap().status(), 200, "{bytes}");
            let seen = upstream.next().await;
            assert_eq!(seen.value("host"), Some(upstream.address().to_string().as_str()));
            assert_eq!(seen.start_line(), "GET /svc/a HTTP/1.1");
            let mut remote = TcpStream::connect(sidecar.listen).await.unwrap();
            remote.write_all(bytes.as_bytes()).await.unwrap();
            assert_eq!(read_message(&mut remote, false).await.unwrap().status(), 421, "{bytes}");
        }
    }
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced() {
    let upstream = Recorder::start().await;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("signer.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let sidecar = Sidecar::listening(&format!("unix:{}", socket.display()), &upstream.origin(), "").await.unwrap();
    assert_eq!(ask(UnixStream::connect(&socket).await.unwrap()).await, 200);
    sidecar.stop().await;
}

/// The limit includes the temporary name under which the socket is made.
#[tokio::test]
async fn a_socket_path_may_have_any_length_that_the_system_allows() {
    let directory = tempfile::tempdir().unwrap();
    let longest = 107 - directory.path().as_os_str().len() - 1;
    for length in [longest, longest - 1, 1] {
        let socket = directory.path().join("s".repeat(length));
        let address: ListenAddress = format!("unix:{}", socket.display()).parse().unwrap();
        let listener = Listener::bind(&address, 0o600, 1).await.unwrap();
        assert!(UnixStream::connect(&socket).await.is_ok());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        drop(listener);
        assert!(!socket.exists());
    }
}

/// As in a restart, where the new process has bound its socket before the old one ends.
#[tokio::test]
async fn a_listener_that_ends_keeps_the_socket_of_its_successor() {
    let directory = tempfile::tempdir().unwrap();
    let (socket, aside) = (directory.path().join("signer.sock"), directory.path().join("aside"));
    let address = ListenAddress::Unix(socket.clone());
    let old = Listener::bind(&address, 0o600, 1).await.unwrap();
    std::fs::rename(&socket, &aside).unwrap();
    let _new = Listener::bind(&address, 0o600, 1).await.unwrap();
    drop(old);
    assert!(UnixStream::connect(&socket).await.is_ok());
}

#[tokio::test]
async fn a_socket_in_use_and_other_files_are_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("signer.sock");
    let _answering = UnixListener::bind(&socket).unwrap();
    let file = directory.path().join("notes.txt");
    std::fs::write(&file, "keep").unwrap();
    for (path, reason) in [
        (&socket, "the socket is taken"),
        (&file, "is no socket"),
        (&directory.path().join("no/signer.sock"), "directory does not exist"),
    ] {
        let listen = format!("unix:{}", path.display());
        let error = Sidecar::listening(&listen, "http://127.0.0.1:1", "").await.err().unwrap().to_string();
        assert!(error.starts_with(&format!("listen.address {listen}: ")) && error.contains(reason), "{error}");
    }
    assert!(UnixStream::connect(&socket).await.is_ok());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "keep");
}

async fn ask(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> u16 {
    stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    read_message(&mut stream, false).await.unwrap().status()
}
