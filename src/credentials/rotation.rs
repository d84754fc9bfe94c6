//! Has a credential sign with its next unit: by request, or as soon as Wonder accepts it.
//!
//! A proof is Wonder's echo call, which changes nothing. A request that Wonder rejected is never sent again.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{Entry, Store, UnitName, reload::publish};
use crate::{config::Rotate, metrics::Metrics};

/// How long after a proof that failed the next one follows: twice as long each time, from the first to the second of these.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// How often a rejection has both units proved again, at most.
const REPROOF: Duration = Duration::from_secs(10);

/// Whether Wonder accepts a unit, with the reason in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It does.
    Accepted(String),
    /// It does not.
    Rejected(String),
    /// Wonder did not say: it could not be reached, or has a fault.
    Unknown(String),
}

impl Proof {
    fn result(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Rejected(_) => "rejected",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Accepted(text) | Self::Rejected(text) | Self::Unknown(text)) = self;
        f.write_str(text)
    }
}

/// Proves a unit at Wonder.
pub type Prove = Arc<dyn Fn(Arc<Entry>) -> BoxFuture<'static, Proof> + Send + Sync>;

/// The rotation of one credential.
pub struct Rotation {
    /// Its name.
    pub name: String,
    /// What has its next unit used.
    pub rotate: Rotate,
    /// How long the old unit is kept.
    pub keep_old: Duration,
    /// Where its units are.
    pub store: Arc<Store>,
    /// Proves a unit.
    pub prove: Prove,
    /// Counts proofs.
    pub metrics: Metrics,
    /// Notified when a unit was read again.
    pub changed: Arc<Notify>,
    /// Notified when Wonder rejects a request.
    pub rejections: Arc<Notify>,
}

/// Asks for a switch; the answer is what a person reads.
pub type Request = oneshot::Sender<Result<String, String>>;

impl Rotation {
    /// Runs until `requests` is closed.
    pub async fn run(self, mut requests: mpsc::Receiver<Request>) {
        let (mut retry, mut next_proof) = (RETRY.0, Instant::now());
        let (mut forget, mut reproof) = (None, Instant::now());
        loop {
            let units = self.store.units(&self.name);
            let proves = self.rotate == Rotate::WhenProven && units.active == UnitName::Main && units.next.is_some();
            tokio::select! {
                () = sleep_until(next_proof), if proves => {
                    if self.switch_to_next().await.is_ok() {
                        forget = Some(Instant::now() + self.keep_old);
                        retry = RETRY.0;
                    } else {
                        next_proof = Instant::now() + retry;
                        retry = (retry * 2).min(RETRY.1);
                    }
                }
                () = self.changed.notified() => {
                    next_proof = Instant::now();
                    retry = RETRY.0;
                }
                () = self.rejections.notified(), if forget.is_some() && Instant::now() >= reproof => {
                    reproof = Instant::now() + REPROOF;
                    if self.prove_both().await {
                        forget = None;
                        next_proof = Instant::now() + RETRY.1;
                    }
                }
                () = sleep_until(forget.unwrap_or(next_proof)), if forget.is_some() => {
                    forget = None;
                    self.store.forget(&self.name, UnitName::Main);
                    tracing::info!(credential = self.name, "old unit of the credential dropped (keep_old)");
                }
                request = requests.recv() => {
                    let Some(request) = request else { return };
                    let outcome = self.switch_to_next().await;
                    if outcome.is_ok() {
                        forget = Some(Instant::now() + self.keep_old);
                    }
                    let _ = request.send(outcome);
                }
            }
        }
    }

    /// Proves the next unit and, if Wonder accepts it, has it sign.
    async fn switch_to_next(&self) -> Result<String, String> {
        let units = self.store.units(&self.name);
        if units.active == UnitName::Next {
            return Err(format!("credential {} signs with its next unit already", self.name));
        }
        let Some(next) = units.next else {
            return Err(format!(
                "credential {} has no next unit that can be used; the log names the file and the remedy",
                self.name
            ));
        };
        let proof = self.proved(&next).await;
        let (credential, app_id) = (&self.name, &next.app_id);
        match proof {
            Proof::Accepted(how) => {
                let same = self.store.units(&self.name).next.is_some_and(|now| Arc::ptr_eq(&now, &next));
                if !same {
                    return Err("the next unit changed while it was proved".to_owned());
                }
                self.store.switch(&self.name, UnitName::Next);
                publish(&self.store, &self.name, &self.metrics);
                tracing::info!(credential, %app_id, key = %next.verifying_key, "credential switched to its next unit");
                Ok(format!("credential {credential} signs with AppID {app_id}, {} now: {how}", next.verifying_key))
            }
            proof => {
                let (cause, result) = (proof.to_string(), proof.result());
                tracing::warn!(credential, %app_id, result, cause, "next unit of the credential is not proved; the old one signs");
                Err(format!("the next unit of credential {credential} (AppID {app_id}) is not proved: {cause}"))
            }
        }
    }

    /// Proves both units after Wonder rejected a request, and logs which works. Goes back to the old one where Wonder accepts that alone
    /// and may be asked by itself; returns whether it did.
    async fn prove_both(&self) -> bool {
        let units = self.store.units(&self.name);
        let (Some(main), Some(next)) = (&units.main, &units.next) else { return false };
        let (of_main, of_next) = tokio::join!(self.proved(main), self.proved(next));
        let credential = &self.name;
        let (main_result, next_result) = (of_main.result(), of_next.result());
        let (main_cause, next_cause) = (of_main.to_string(), of_next.to_string());
        match (of_main, of_next) {
            (_, Proof::Accepted(_)) => {
                tracing::info!(
                    credential,
                    main = main_result,
                    next = next_result,
                    "Wonder rejected a request and accepts the unit that signs; the rejection has another cause"
                );
                false
            }
            (Proof::Accepted(_), Proof::Rejected(_)) if self.rotate == Rotate::WhenProven => {
                self.store.switch(&self.name, UnitName::Main);
                publish(&self.store, &self.name, &self.metrics);
                tracing::error!(
                    credential,
                    main = main_result,
                    next = next_result,
                    cause = next_cause,
                    "Wonder accepts the old unit alone; the credential signs with that again"
                );
                true
            }
            _ => {
                tracing::error!(
                    credential,
                    main = main_result,
                    main_cause,
                    next = next_result,
                    next_cause,
                    "Wonder rejects the unit that signs"
                );
                false
            }
        }
    }

    async fn proved(&self, entry: &Arc<Entry>) -> Proof {
        let proof = (self.prove)(Arc::clone(entry)).await;
        self.metrics.unit_proved(&self.name, entry.unit.as_str(), proof.result());
        proof
    }
}
