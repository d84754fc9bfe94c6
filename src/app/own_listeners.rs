//! Rejects an application of webhooks that is a listener of this program itself. The configuration rejects what its texts show; here the
//! ports are bound, and names, files and other addresses of the machine are known.

use std::{
    fs,
    net::{IpAddr, UdpSocket},
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::Duration,
};

use tokio::{net::lookup_host, time::timeout};

use super::{addresses::Addresses, error::StartError};
use crate::config::{Application, Config, ListenAddress, own_listener};

/// How long the look-up of a name may take. Without its addresses the start goes on, because the application may start later.
const LOOK_UP: Duration = Duration::from_secs(1);

/// Rejects an application that leads to one of `addresses`.
pub(super) async fn check(config: &Config, addresses: &Addresses) -> Result<(), StartError> {
    let Some(webhook) = &addresses.webhook else { return Ok(()) };
    let admin = ListenAddress::Tcp(addresses.admin);
    let listeners = addresses.listen.iter().map(|address| ("listen.address", address));
    let listeners: Vec<_> = listeners.chain([("webhook.address", webhook), ("admin.address", &admin)]).collect();
    for (key, application) in config.webhook.applications(&config.credentials) {
        let looked_up = look_up(application).await;
        let leads = |listener: &ListenAddress| {
            application.leads_to(listener, is_own)
                || is_same_file(application, listener)
                || looked_up.iter().any(|address| match listener {
                    ListenAddress::Tcp(bound) => {
                        address.port() == bound.port() && own_listener::arrives(address.ip(), bound.ip(), is_own)
                    }
                    ListenAddress::Unix(_) => false,
                })
        };
        if let Some((listener, address)) = listeners.iter().find(|(_, address)| leads(address)) {
            let reason = own_listener::reason(listener, address);
            return Err(StartError::OwnListener { key, application: application.to_string(), reason });
        }
    }
    Ok(())
}

/// The addresses of a host name other than localhost.
async fn look_up(application: &Application) -> Vec<std::net::SocketAddr> {
    match application {
        Application::Http(origin) if !origin.is_loopback() => {
            let found = timeout(LOOK_UP, lookup_host((origin.host(), origin.port()))).await;
            found.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// Whether this machine has the address: only then can a socket be bound to it.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Whether both are one socket, for example by a symbolic link.
fn is_same_file(application: &Application, listener: &ListenAddress) -> bool {
    let (Application::Unix(one), ListenAddress::Unix(other)) = (application, listener) else { return false };
    let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}
