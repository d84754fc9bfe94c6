//! Switches a credential to its next unit: by request, or as soon as Wonder accepts it.
//!
//! A proof is Wonder's echo call, which changes nothing. A request that Wonder rejected is never sent again.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{Entry, Store};
use crate::{config::Rotate, metrics::Metrics};

/// The delay after a failed proof, which doubles each time from the first to the second of these.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// How often a rejection has two units proved, at most.
const REPROOF: Duration = Duration::from_secs(10);
/// How long a start waits for Wonder to accept or reject the next unit. An outage at Wonder delays a start by no more.
const FIRST_PROOF: Duration = Duration::from_secs(5);
/// How soon a first proof that Wonder did not judge is repeated.
const AGAIN: Duration = Duration::from_millis(500);

/// Whether Wonder accepts a unit, with the reason in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Wonder accepts it.
    Accepted(String),
    /// Wonder rejects it.
    Rejected(String),
    /// Unknown: Wonder could not be reached, or has a fault.
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
pub(crate) type Prove = Arc<dyn Fn(Arc<Entry>) -> BoxFuture<'static, Proof> + Send + Sync>;

/// The rotation of one credential.
pub(crate) struct Rotation {
    /// Its name.
    pub(crate) name: String,
    /// What starts the switch.
    pub(crate) rotate: Rotate,
    /// How long the old unit is kept.
    pub(crate) keep_old: Duration,
    /// The store of its units.
    pub(crate) store: Arc<Store>,
    /// Proves a unit.
    pub(crate) prove: Prove,
    /// Counts proofs.
    pub(crate) metrics: Metrics,
    /// Notified when a unit was read again.
    pub(crate) changed: Arc<Notify>,
    /// Notified when Wonder rejects a request.
    pub(crate) rejections: Arc<Notify>,
}

/// A request to switch; the answer is a text for people.
pub(crate) type Request = oneshot::Sender<Result<String, String>>;

/// When the proofs of a rotation are due. All of it is monotonic time, which a change of the wall clock does not move.
struct Due {
    /// The proof of the next unit.
    next: Instant,
    /// How long after that the one follows that is due if it fails.
    retry: Duration,
    /// The last proof of the next unit.
    proved: Option<Instant>,
    /// The end of `keep_old`.
    forget: Option<Instant>,
    /// Whether Wonder has rejected a request, and when both units may be proved for that.
    rejected: (bool, Instant),
}

impl Due {
    fn now() -> Self {
        let now = Instant::now();
        Self { next: now, retry: RETRY.0, proved: None, forget: None, rejected: (false, now) }
    }

    /// The files were read again: the proof is due at once, but not sooner than the first delay after the last one, because a program may
    /// have them read many times a second.
    fn soon(&mut self) {
        let now = Instant::now();
        (self.next, self.retry) = (self.proved.map_or(now, |proved| now.max(proved + RETRY.0)), RETRY.0);
    }

    fn later(&mut self) {
        self.next = Instant::now() + self.retry;
        self.retry = (self.retry * 2).min(RETRY.1);
    }
}

impl Rotation {
    /// Whether the next unit is proved before the credential is ready.
    pub(crate) fn proves_first(&self) -> bool {
        self.rotate == Rotate::WhenProven
    }

    /// Runs until `requests` is closed.
    pub(crate) async fn run(self, mut requests: mpsc::Receiver<Request>) {
        let mut due = Due::now();
        if self.proves_first() {
            self.prove_first(&mut due).await;
            self.store.decided(&self.name);
        }
        loop {
            let units = self.store.units(&self.name);
            let proves = self.rotate == Rotate::WhenProven && units.candidate().is_some();
            let has_two = units.old().or(units.candidate()).is_some();
            tokio::select! {
                () = sleep_until(due.next), if proves => {
                    if self.switch_to_next(&mut due).await.is_err() {
                        due.later();
                    }
                }
                () = self.changed.notified() => due.soon(),
                () = self.rejections.notified() => due.rejected.0 = true,
                () = sleep_until(due.rejected.1), if due.rejected.0 && has_two => {
                    due.rejected = (false, Instant::now() + REPROOF);
                    self.prove_both(&mut due).await;
                }
                () = sleep_until(due.forget.unwrap_or(due.next)), if due.forget.is_some() => {
                    due.forget = None;
                    self.store.forget(&self.name);
                    tracing::info!(credential = self.name, "old unit of the credential dropped (keep_old)");
                }
                request = requests.recv() => {
                    let Some(request) = request else { return };
                    let outcome = self.switch_to_next(&mut due).await;
                    let _ = request.send(outcome.map_err(|not| not.reason));
                }
            }
            if !has_two {
                // A rejection is about the only unit there is.
                due.rejected.0 = false;
            }
        }
    }

    /// Has the next unit sign from the first request on, if Wonder accepts it. After a restart the unit of the configuration may be one
    /// that Wonder no longer accepts.
    async fn prove_first(&self, due: &mut Due) {
        let proving = async {
            while self.store.units(&self.name).candidate().is_some() && !self.is_judged(due).await {
                sleep(AGAIN).await;
            }
        };
        if timeout(FIRST_PROOF, proving).await.is_err() {
            tracing::warn!(
                credential = self.name,
                "Wonder did not judge the next unit of the credential at start; the old one signs until it does"
            );
        }
    }

    async fn is_judged(&self, due: &mut Due) -> bool {
        match self.switch_to_next(due).await {
            Ok(_) => true,
            Err(unproved) => {
                due.later();
                !matches!(unproved.proof, Some(Proof::Unknown(_)))
            }
        }
    }

    /// Proves the next unit and, if Wonder accepts it, makes it the signing unit.
    async fn switch_to_next(&self, due: &mut Due) -> Result<String, NotSwitched> {
        let units = self.store.units(&self.name);
        let credential = &self.name;
        let Some(next) = units.candidate() else {
            return match units.in_use().zip(units.next()) {
                Some((in_use, next)) if in_use.is_same_unit(next) => {
                    Ok(format!("credential {credential} signs with its next unit already: {}", described(in_use)))
                }
                _ => Err(NotSwitched::because(format!(
                    "credential {credential} has no next unit that can be used; the log names the file and the remedy"
                ))),
            };
        };
        due.proved = Some(Instant::now());
        let (proof, app_id) = (self.proved(next).await, &next.app_id);
        let hint = units.in_use().map_or("", |in_use| next.mixed_up_with(in_use));
        match &proof {
            Proof::Accepted(how) => {
                if !self.store.switch(&self.name, next) {
                    return Err(NotSwitched::because("the next unit changed while it was proved".to_owned()));
                }
                due.forget = units.in_use().map(|_| Instant::now() + self.keep_old);
                due.retry = RETRY.0;
                tracing::info!(credential, %app_id, key = %next.verifying_key, "credential switched to its next unit");
                Ok(format!("credential {credential} signs with {} now: {how}", described(next)))
            }
            unproved => {
                let (cause, result) = (format!("{unproved}{hint}"), unproved.result());
                tracing::warn!(credential, %app_id, result, cause, "next unit of the credential is not proved; the old one signs");
                let reason =
                    format!("the next unit of credential {credential} (AppID {app_id}) is not proved: {cause}");
                Err(NotSwitched { reason, proof: Some(proof) })
            }
        }
    }

    /// Proves the unit that signs and the other one after Wonder rejected a request, and logs which works. Has the other one sign where
    /// Wonder accepts that alone and the credential may switch by itself.
    async fn prove_both(&self, due: &mut Due) {
        let units = self.store.units(&self.name);
        let (Some(in_use), Some(other)) = (units.in_use(), units.old().or(units.candidate())) else { return };
        let is_old = units.old().is_some();
        let (of_this, of_other) = tokio::join!(self.proved(in_use), self.proved(other));
        let credential = &self.name;
        let (app_id, other_app_id) = (&in_use.app_id, &other.app_id);
        let (result, other_result) = (of_this.result(), of_other.result());
        let (cause, other_cause) = (of_this.to_string(), of_other.to_string());
        match (of_this, of_other) {
            (Proof::Accepted(_), _) => tracing::info!(
                credential,
                %app_id,
                result,
                %other_app_id,
                other_result,
                "Wonder rejected a request and accepts the unit that signs; the rejection has another cause"
            ),
            (Proof::Rejected(_), Proof::Accepted(_))
                if self.rotate == Rotate::WhenProven && self.store.switch(&self.name, other) =>
            {
                due.forget = (!is_old).then(|| Instant::now() + self.keep_old);
                if is_old {
                    due.next = Instant::now() + RETRY.1;
                }
                tracing::error!(
                    credential,
                    %app_id,
                    cause,
                    %other_app_id,
                    "Wonder rejects the unit that signed and accepts the other one, which signs from now on"
                );
            }
            (Proof::Unknown(_), _) => {
                due.rejected.0 = true;
                tracing::warn!(
                    credential,
                    %app_id,
                    cause,
                    %other_app_id,
                    other_result,
                    "Wonder rejected a request and did not judge the unit that signs; both are proved again"
                );
            }
            (Proof::Rejected(_), of_other) => {
                due.rejected.0 = matches!(of_other, Proof::Unknown(_));
                tracing::error!(
                    credential,
                    %app_id,
                    cause,
                    %other_app_id,
                    other_result,
                    other_cause,
                    "Wonder rejects the unit that signs"
                );
            }
        }
    }

    async fn proved(&self, entry: &Arc<Entry>) -> Proof {
        let proof = (self.prove)(Arc::clone(entry)).await;
        self.metrics.unit_proved(&self.name, entry.unit.as_str(), proof.result());
        proof
    }
}

/// Why a credential was not switched, for a person.
struct NotSwitched {
    reason: String,
    /// The proof, if there was one.
    proof: Option<Proof>,
}

impl NotSwitched {
    fn because(reason: String) -> Self {
        Self { reason, proof: None }
    }
}

fn described(entry: &Entry) -> String {
    format!("AppID {}, {}", entry.app_id, entry.verifying_key)
}

#[cfg(test)]
mod tests;
