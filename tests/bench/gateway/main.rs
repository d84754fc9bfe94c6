//! Calls the release binary as a service does and reports the cost of a request, compared with a sidecar that does not sign.
//!
//! ```sh
//! cargo bench --bench gateway                 # three runs, the table as Markdown
//! cargo bench --bench gateway -- --short      # one run of short cases, for a quick look
//! cargo bench --bench gateway -- --overload --key rsa4096-pkcs8
//! cargo bench --bench gateway -- --peers      # compared with other signing proxies
//! cargo bench --bench gateway -- --workers 2 --only post-512-c16,get-c16 --key rsa4096-pkcs8
//! ```
//!
//! The load and the upstream (TLS, keep-alive, a small answer) run in this process, pinned to the last processor; a
//! sidecar with one worker is pinned to the first. The cost of a request is the processor time of the sidecar's threads from
//! `/proc`, which other programs on the machine disturb far less than wall-clock time. It is compared with the bare
//! signature of aws-lc-rs, measured at the same time on the sidecar's processor (afterwards if the rate is fixed).
//!
//! Needs Linux. Ratios hold on a busy machine; other figures need a quiet one.

#![allow(missing_docs, unreachable_pub, reason = "a program, not a library")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark that cannot continue has nothing to report, and its report goes to the terminal"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures of six digits at most"
)]
#![allow(
    clippy::format_push_string,
    clippy::needless_for_each,
    clippy::semicolon_if_nothing_returned,
    clippy::unchecked_time_subtraction,
    clippy::float_cmp,
    clippy::trivially_copy_pass_by_ref,
    clippy::struct_excessive_bools,
    clippy::single_match_else,
    reason = "shorter this way, and on no hot path"
)]

mod bare;
mod child;
#[path = "../support/key.rs"]
mod key;
mod load;
mod peers;
mod processor;
mod table;
mod too_much;
mod unsigned;
mod upstream;

// The sidecar that does not sign is built from the product's own files. This crate compiles them again with another
// `signing` module.
#[path = "../../../src"]
#[allow(dead_code, unused_imports, reason = "only a part of it is used here")]
mod product {
    pub mod admin;
    pub mod app;
    pub mod clock;
    pub mod config;
    pub mod contract;
    pub mod credentials;
    pub mod echo;
    pub mod files;
    pub mod html;
    pub mod metrics;
    pub mod net;
    pub mod operations;
    pub mod overload;
    pub mod policy;
    pub mod proxy;
    #[path = "cli/runtime.rs"]
    pub mod runtime;
    pub mod telemetry;
    pub mod webhook;
}
mod signing;
// The modules that those files import as `crate::…`.
use product::{
    admin, clock, config, contract, credentials, echo, files, html, metrics, net, operations, overload, policy, proxy,
    telemetry, webhook,
};

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::Parser as _;

use self::{
    child::{Kind, Sidecar},
    load::{Case, Pace},
    processor::Signature,
    table::{IdleRow, Row, Table},
    upstream::Upstream,
};

/// Measures what a request costs.
#[derive(Debug, clap::Parser)]
struct Options {
    /// One run of one second per case
    #[arg(long)]
    short: bool,
    /// How often each case is measured; the table shows the median and the spread
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Seconds per case
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Numbers of worker threads, measured in sequence
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    workers: Vec<usize>,
    /// Cases by name, as in the table
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The sidecars to measure
    #[arg(long, value_enum, value_delimiter = ',', default_value = "signing,unsigned")]
    kind: Vec<Kind>,
    /// The test vectors' key that signs
    #[arg(long, default_value = "rsa2048-pkcs8")]
    key: String,
    /// More settings of the sidecar
    #[arg(long, value_name = "WONDER_SIGNER_KEY=VALUE")]
    set: Vec<String>,
    /// Measure this binary instead of the one just built
    #[arg(long)]
    binary: Option<std::path::PathBuf>,
    /// Milliseconds that the upstream waits before each answer
    #[arg(long, default_value_t = 0)]
    upstream_takes: u64,
    /// Also offer HTTP/2 upstream
    #[arg(long)]
    h2: bool,
    /// Measure at twice the capacity instead of the table
    #[arg(long)]
    overload: bool,
    /// Measure one case against other signing proxies instead of the table
    #[arg(long)]
    peers: bool,
    /// Run as the sidecar that does not sign; used by this program itself
    #[arg(long, hide = true)]
    be_unsigned: bool,
    /// Run as the minimal signing proxy; used by this program itself
    #[arg(long, hide = true)]
    be_bare: bool,
    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.be_unsigned {
        unsigned::run();
        return ExitCode::SUCCESS;
    }
    if options.be_bare {
        bare::run();
        return ExitCode::SUCCESS;
    }
    if options.short {
        (options.runs, options.seconds) = (1, 1.0);
    }
    // Load, upstream and this thread use the last processor; the sidecar with one worker has the first to itself.
    processor::pin_to_last();
    let upstream = Upstream::start(options.h2, &key::pem(&options.key), Duration::from_millis(options.upstream_takes));
    if options.overload {
        options.workers.iter().for_each(|workers| too_much::measure(&options, &upstream, *workers));
    } else if options.peers {
        peers::measure(&options, &upstream);
    } else {
        measure(&options, &upstream).print();
    }
    ExitCode::SUCCESS
}

fn measure(options: &Options, upstream: &Upstream) -> Table {
    let signature = Signature::new(&options.key);
    let mut table = Table::default();
    for run in 1..=options.runs {
        for &workers in &options.workers {
            for &kind in &options.kind {
                eprintln!("run {run} of {}: {workers} worker(s), {kind}", options.runs);
                one(options, upstream, &signature, kind, workers, &mut table);
            }
        }
    }
    table
}

fn one(options: &Options, upstream: &Upstream, signature: &Signature, kind: Kind, workers: usize, table: &mut Table) {
    let sidecar = Sidecar::start(kind, workers, upstream, options);
    let idle = sidecar.idle(Duration::from_secs_f64(options.seconds.min(3.0)));
    table.idle(workers, kind, IdleRow { start: sidecar.start_to_first_answer(), idle });
    for case in load::CASES.iter().filter(|case| options.only.is_empty() || options.only.iter().any(|o| o == case.name))
    {
        let row = measure_case(options, upstream, signature, &sidecar, case);
        eprintln!("  {:<14} {}", case.name, row.brief());
        table.row(workers, kind, case.name, row);
    }
}

fn measure_case(options: &Options, upstream: &Upstream, signature: &Signature, sidecar: &Sidecar, case: &Case) -> Row {
    let opened = upstream.connections();
    sidecar.forget_peak();
    let load = load::start(case, sidecar.address());
    thread::sleep(Duration::from_secs_f64((options.seconds / 4.0).min(0.5)));
    load.begin();
    let (began, cpu) = (Instant::now(), sidecar.cpu());
    let wait = || thread::sleep(Duration::from_secs_f64(options.seconds));
    let closed = matches!(case.pace, Pace::Closed);
    // At a fixed rate the latency matters, and concurrent signatures would delay requests.
    let during = if closed {
        Some(signature.cost_during(wait))
    } else {
        wait();
        None
    };
    let outcome = load.end();
    let (took, cpu) = (began.elapsed(), sidecar.cpu() - cpu);
    let opened = upstream.connections() - opened;
    let signature = during.unwrap_or_else(|| signature.cost_during(|| thread::sleep(Duration::from_millis(300))));
    let answers = outcome.latencies.len().max(1) as f64;
    Row {
        per_second: if closed { answers / took.as_secs_f64() } else { f64::NAN },
        cpu: cpu.as_secs_f64() * 1e6 / answers,
        signature: signature.as_secs_f64() * 1e6,
        quantiles: outcome.quantiles(),
        peak: sidecar.peak(),
        opened,
        failures: outcome.failures,
    }
}
