//! Why the signature of a captured delivery does not match: the usual changes by a proxy or a framework between Wonder and a handler.
//!
//! The result is for messages only. It never makes a delivery acceptable; [`verify`](super::verify) decides that.

use std::fmt;

use crate::signing::{
    VerifyingKey,
    diagnosis::{Claim, Mistake, Part, diagnose},
};

/// A target that Wonder may have signed in place of the received one.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The option or header with this target.
    pub source: &'static str,
    /// Path and query.
    pub target: String,
}

/// The explanation of a mismatch. `Display` prints the cause and the remedy, without a value of the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explanation {
    /// Another key signed it.
    AnotherKey,
    /// A candidate was signed: the source of the candidate, and the difference of the received target.
    Target(&'static str, Difference),
    /// The target was signed without the beginning of the received path.
    PrefixAdded,
    /// A mistake of the diagnosis, with the received target or with the candidate of this source.
    Mistake(Mistake, Option<&'static str>),
    /// The key is right, and no tried change explains the mismatch.
    Unknown,
}

/// The difference between the received target and the signed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// It lacks the query.
    QueryLeftOut,
    /// It has another query, or an added one.
    QueryChanged,
    /// It has another path.
    PathRewritten,
}

/// Explains why `claim` does not verify under `key`; `None` when it does verify.
#[must_use]
pub fn explain(key: &VerifyingKey, claim: &Claim<'_>, candidates: &[Candidate]) -> Option<Explanation> {
    let found = diagnose(key, claim)?;
    let known = |mistake| !matches!(mistake, Mistake::Unknown | Mistake::AnotherKey);
    if found == Mistake::AnotherKey {
        return Some(Explanation::AnotherKey);
    }
    let over = |target: &str| diagnose(key, &Claim { target, ..*claim });
    let candidates = || candidates.iter().filter(|candidate| candidate.target != claim.target);
    let exactly = || {
        let signed = candidates().find(|candidate| over(&candidate.target).is_none())?;
        Some(Explanation::Target(signed.source, Difference::between(&signed.target, claim.target)))
    };
    let in_part = || {
        let by = |candidate: &Candidate| over(&candidate.target).filter(|mistake| known(*mistake));
        candidates().find_map(|candidate| Some(Explanation::Mistake(by(candidate)?, Some(candidate.source))))
    };
    let prefix = || {
        let path = claim.target.split('?').next().unwrap_or_default();
        let mut starts = path.match_indices('/').map(|(at, _)| at).skip(1);
        starts.any(|at| over(&claim.target[at..]).is_none()).then_some(Explanation::PrefixAdded)
    };
    exactly()
        .or_else(|| known(found).then_some(Explanation::Mistake(found, None)))
        .or_else(in_part)
        .or_else(prefix)
        .or(Some(Explanation::Unknown))
}

impl Difference {
    fn between(signed: &str, arrived: &str) -> Self {
        let (signed_path, signed_query) = signed.split_once('?').unwrap_or((signed, ""));
        let (path, query) = arrived.split_once('?').unwrap_or((arrived, ""));
        match () {
            () if path != signed_path => Self::PathRewritten,
            () if query.is_empty() && !signed_query.is_empty() => Self::QueryLeftOut,
            () => Self::QueryChanged,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TARGET: &str = "verify path and query exactly as Wonder sent them; behind a proxy that rewrites them, \
                              webhook.original_target_header or webhook.original_target_prefix restores them";
        const BODY: &str =
            "verify the bytes of the body as they arrive, before a JSON parser or a framework changes them";
        match *self {
            Self::AnotherKey => f.write_str(
                "another key made the signature: take the key that Wonder's portal shows as \"Webhook Public Key\", not the public half of \
                 your own request key, and the one of the same environment; otherwise the webhook is forged",
            ),
            Self::Target(source, difference) => {
                let what = match difference {
                    Difference::QueryLeftOut => "the query was left out of the target that arrived",
                    Difference::QueryChanged => "the query of the target that arrived was changed",
                    Difference::PathRewritten => "the path was rewritten on its way",
                };
                write!(f, "{what}: Wonder signed the target of {source}; {TARGET}")
            }
            Self::PrefixAdded => write!(f, "the path was rewritten on its way: a prefix was added to it; {TARGET}"),
            Self::Mistake(mistake, source) => {
                if let Some(source) = source {
                    write!(f, "Wonder signed the target of {source}, and also ")?;
                }
                match mistake.part() {
                    Part::Body => write!(f, "the body was changed on its way ({}); {BODY}", mistake.done()),
                    Part::Target => write!(f, "{}; {TARGET}", mistake.done()),
                    Part::Other => write!(f, "{mistake}"),
                }
            }
            Self::Unknown => f.write_str(
                "the key is right, but Wonder signed another target or body: give the callback URL with --callback-url, and compare the \
                 body with the bytes that arrived",
            ),
        }
    }
}
