//! An upstream that misbehaves on demand, over plain TCP or TLS, and keeps a ledger of the requests that reached it.
//!
//! A [`Welcome`] is chosen for each connection and a [`Fault`] for each request on it, before any byte of it is read.

mod door;
mod ledger;
mod plan;

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use self::{
    door::Door,
    ledger::Ledger,
    plan::{Host, Plan},
};
pub(crate) use self::{
    door::Welcome,
    plan::{Early, Fault, Turn},
};
use super::{
    identity::{Certificate, Identity},
    patience::soon,
};

/// Builds an [`Upstream`].
pub(crate) struct Builder {
    plan: Plan,
    door: Door,
    identity: Option<Identity>,
    keep_messages: bool,
}

/// The upstream. Dropping it closes its listener and its connections.
pub(crate) struct Upstream {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    open: watch::Receiver<usize>,
    identity: Option<Identity>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Answers every request with 200, unless the builder plans a fault.
    pub(crate) fn builder() -> Builder {
        Builder {
            plan: Box::new(|_| Fault::none()),
            door: Box::new(|_| Welcome::Serve),
            identity: None,
            keep_messages: true,
        }
    }

    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", if self.identity.is_some() { "https" } else { "http" }, self.address)
    }

    /// The `[upstream]` table for a sidecar in front of it.
    pub(crate) fn settings(&self) -> String {
        let trust = self.identity.as_ref().map(Identity::trust).unwrap_or_default();
        format!("[upstream]\n{trust}")
    }

    /// Connections open at this moment.
    pub(crate) fn open(&self) -> usize {
        *self.open.borrow()
    }

    /// Waits until at most `count` connections are open.
    pub(crate) async fn until_open_at_most(&self, count: usize) {
        soon(self.open.clone().wait_for(|open| *open <= count)).await.unwrap();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Builder {
    /// Sets the fault of each request.
    pub(crate) fn plan(mut self, plan: impl Fn(Turn) -> Fault + Send + Sync + 'static) -> Self {
        self.plan = Box::new(plan);
        self
    }

    /// Sets the fault of each connection, counted from 0.
    pub(crate) fn door(mut self, door: impl Fn(usize) -> Welcome + Send + Sync + 'static) -> Self {
        self.door = Box::new(door);
        self
    }

    /// Serves HTTP/1.1 over TLS.
    pub(crate) fn tls(mut self, certificate: Certificate) -> Self {
        self.identity = Some(Identity::new(certificate, &["http/1.1"]));
        self
    }

    /// Counts requests without keeping them, for long runs.
    pub(crate) fn forgetful(mut self) -> Self {
        self.keep_messages = false;
        self
    }

    pub(crate) async fn start(self) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ledger = Arc::new(Ledger::new(self.keep_messages));
        let (counter, count) = watch::channel(0);
        let acceptor = self.identity.as_ref().map(|identity| TlsAcceptor::from(Arc::clone(&identity.server)));
        let (plan, door, kept) = (Arc::new(self.plan), self.door, Arc::clone(&ledger));
        let task = tokio::spawn(async move {
            // Owned by this task, so that aborting it ends the connections too.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = kept.connection();
                let host = Host { number, ledger: Arc::clone(&kept), plan: Arc::clone(&plan) };
                let (welcome, tls, open) = (door(number), acceptor.clone(), Counted::new(counter.clone()));
                connections.spawn(async move {
                    if let Some(line) = welcome.receive(stream, tls).await {
                        host.serve(line).await;
                    }
                    drop(open);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Upstream { address, ledger, open: count, identity: self.identity, task }
    }
}

/// Counts one open connection until it is dropped.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(counter: watch::Sender<usize>) -> Self {
        counter.send_modify(|open| *open += 1);
        Self(counter)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}
