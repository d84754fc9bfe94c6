//! Where plain requests are taken: IPv4, IPv6, Unix sockets, several at once.

use std::os::unix::fs::PermissionsExt as _;

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpStream, UnixListener, UnixStream},
};
use wonder_signer::config::ListenAddress;

use crate::support::{
    sidecar::{Sidecar, assert_signed},
    upstream::Recorder,
    wire::{read_message, request},
};

#[tokio::test]
async fn takes_requests_on_every_address() {
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
    assert!(!socket.exists(), "the file goes with the listener");
}

#[tokio::test]
async fn gives_a_socket_the_mode_that_was_asked_for() {
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

#[tokio::test]
async fn replaces_a_socket_on_which_nobody_answers() {
    let upstream = Recorder::start().await;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("signer.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let sidecar = Sidecar::listening(&format!("unix:{}", socket.display()), &upstream.origin(), "").await.unwrap();
    assert_eq!(ask(UnixStream::connect(&socket).await.unwrap()).await, 200);
    sidecar.stop().await;
}

#[tokio::test]
async fn leaves_alone_what_is_in_use_or_no_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("signer.sock");
    let _answering = UnixListener::bind(&socket).unwrap();
    let file = directory.path().join("notes.txt");
    std::fs::write(&file, "keep").unwrap();
    for (path, reason) in [(&socket, "is taken"), (&file, "is no socket")] {
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
