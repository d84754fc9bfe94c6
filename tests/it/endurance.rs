//! Many requests over a long time: the built program in front of an upstream that keeps breaking connections.
//!
//! The long runs are ignored; `tests/chaos.sh` and `tests/soak.sh` run them by hand with the release build.

mod chaos;
mod curls;
mod slowness;
mod soak;
mod traffic;

/// A number from the environment, for runs longer or shorter than usual.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}
