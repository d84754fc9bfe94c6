//! The time of the last response of each kind, for the status page. A counter shows that errors happened; only a time shows whether
//! they have stopped.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::SystemTime,
};

use http::StatusCode;

use super::labels::CodeClass;
use crate::contract::Sent;

/// The last response of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(crate) unix_seconds: u64,
    /// The response.
    pub(crate) answer: LastAnswer,
}

/// A response as the caller received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastAnswer {
    /// A response of upstream with this status.
    Upstream(u16),
    /// An error of this program with this code.
    Signer(&'static str, Sent),
}

/// The last success and the last failures; kinds without a response are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lasts {
    /// The last 2xx of upstream.
    pub(crate) success: Option<Last>,
    /// The last 4xx, the last 401 or 403, the last 5xx, and the last error of each code.
    pub(crate) failures: Vec<Last>,
}

/// One cell per kind. A cell has the time in its upper bits and the status or `sent` in the lower 16; 0 is "never". Both are in one
/// atomic value, so no reader sees the time of one response with the status of another.
pub(super) struct LastCells {
    success: AtomicU64,
    /// Other 4xx, 401 and 403, 5xx.
    upstream: [AtomicU64; 3],
    signer: Vec<(&'static str, AtomicU64)>,
}

impl LastCells {
    pub(super) fn new(reasons: impl Iterator<Item = &'static str>) -> Self {
        let cell = || AtomicU64::new(0);
        Self {
            success: cell(),
            upstream: [cell(), cell(), cell()],
            signer: reasons.map(|name| (name, cell())).collect(),
        }
    }

    pub(super) fn upstream(&self, status: StatusCode) {
        let cell = match (status, CodeClass::of(status)) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => &self.upstream[1],
            (_, CodeClass::Success) => &self.success,
            (_, CodeClass::Redirection) => return,
            (_, CodeClass::ClientError) => &self.upstream[0],
            (_, CodeClass::ServerError) => &self.upstream[2],
        };
        cell.store(now() << 16 | u64::from(status.as_u16()), Relaxed);
    }

    /// `place` is the index of the reason in the list given to [`Self::new`].
    pub(super) fn signer(&self, place: usize, sent: Sent) {
        if let Some((_, cell)) = self.signer.get(place) {
            cell.store(now() << 16 | u64::from(sent == Sent::Maybe), Relaxed);
        }
    }

    pub(super) fn read(&self) -> Lasts {
        let seen = |cell: &AtomicU64| Some(cell.load(Relaxed)).filter(|packed| *packed != 0);
        let answer = |packed: u64| Last {
            unix_seconds: packed >> 16,
            answer: LastAnswer::Upstream(u16::try_from(packed & 0xffff).unwrap_or_default()),
        };
        let error = |(reason, cell): &(&'static str, AtomicU64)| {
            let packed = seen(cell)?;
            let sent = if packed & 1 == 1 { Sent::Maybe } else { Sent::No };
            Some(Last { unix_seconds: packed >> 16, answer: LastAnswer::Signer(reason, sent) })
        };
        let upstream = self.upstream.iter().filter_map(|cell| seen(cell).map(answer));
        Lasts {
            success: seen(&self.success).map(answer),
            failures: upstream.chain(self.signer.iter().filter_map(error)).collect(),
        }
    }
}

/// At least 1, so that a clock in 1970 is not read as "never".
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_last_response_of_each_kind_that_happened() {
        let cells = LastCells::new(["overloaded", "upstream_dns"].into_iter());
        assert_eq!(cells.read(), Lasts::default());
        for status in [204, 302, 404, 401, 403, 500, 502] {
            cells.upstream(StatusCode::from_u16(status).unwrap());
        }
        cells.signer(1, Sent::No);
        cells.signer(1, Sent::Maybe);
        cells.signer(7, Sent::No);
        let lasts = cells.read();
        let answers: Vec<_> = lasts.failures.iter().map(|last| last.answer).collect();
        assert_eq!(lasts.success.map(|last| last.answer), Some(LastAnswer::Upstream(204)));
        assert_eq!(
            answers,
            [
                LastAnswer::Upstream(404),
                LastAnswer::Upstream(403),
                LastAnswer::Upstream(502),
                LastAnswer::Signer("upstream_dns", Sent::Maybe)
            ]
        );
        assert!(lasts.failures.iter().all(|last| now().abs_diff(last.unix_seconds) < 100));
    }
}
