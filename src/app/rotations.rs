//! Wires the rotation of each credential that has a next unit to Wonder's echo.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::FutureExt as _;
use tokio::sync::mpsc;

use crate::{
    admin::rotate::Rotators,
    config::Config,
    credentials::{Entry, Proof, Prove, Rotating, Rotation, Store},
    echo::{self, Endpoint, Unproved},
    metrics::Metrics,
    net::upstream::Upstreams,
};

/// Rotations that have not begun.
pub(super) struct Rotations(Vec<Rotation>);

impl Rotations {
    /// Of the credentials of `config` that have a next unit.
    pub(super) fn new(config: &Config, store: &Arc<Store>, upstreams: &Upstreams, metrics: &Metrics) -> Self {
        let rotating = config.credentials.iter().filter(|(_, credential)| credential.next.is_some());
        let rotations = rotating.map(|(name, credential)| {
            let endpoint = Endpoint {
                environment: credential.environment,
                origin: credential.origin.clone(),
                timeout: config.timeouts.response_head,
            };
            let upstream = upstreams.of(name).clone();
            let prove: Prove = Arc::new(move |entry: Arc<Entry>| {
                let (endpoint, upstream) = (endpoint.clone(), upstream.clone());
                async move {
                    match echo::echo(&endpoint, &entry, &upstream).await {
                        Ok(how) => Proof::Accepted(how),
                        Err(Unproved::Rejected(why)) => Proof::Rejected(why),
                        Err(Unproved::Unknown(why)) => Proof::Unknown(why),
                    }
                }
                .boxed()
            });
            Rotation {
                name: name.clone(),
                rotate: credential.rotate,
                keep_old: credential.keep_old,
                store: Arc::clone(store),
                prove,
                metrics: metrics.clone(),
                changed: Arc::default(),
                rejections: Arc::default(),
            }
        });
        Self(rotations.collect())
    }

    /// What a reading of files and a rejection notify, by credential.
    pub(super) fn notified(&self) -> Rotating {
        let notified = |rotation: &Rotation| (Arc::clone(&rotation.changed), Arc::clone(&rotation.rejections));
        self.0.iter().map(|rotation| (rotation.name.clone(), notified(rotation))).collect()
    }

    /// Makes the credentials wait for the first proof of each next unit that signs as soon as Wonder accepts it.
    pub(super) fn prove_first(&self, store: &Store) {
        self.0.iter().filter(|rotation| rotation.proves_first()).for_each(|rotation| store.prove_first(&rotation.name));
    }

    /// Runs each as a task until what this returns is dropped.
    pub(super) fn start(self) -> Rotators {
        let started = self.0.into_iter().map(|rotation| {
            let (ask, asked) = mpsc::channel(1);
            let name = rotation.name.clone();
            tokio::spawn(rotation.run(asked));
            (name, ask)
        });
        Rotators::new(started.collect::<BTreeMap<_, _>>())
    }
}
