//! Callers that leave requests unfinished, and the latency of other callers meanwhile.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{
    caller::{Caller, ask},
    faults::Upstream,
    process::Process,
    wire::{exchange, request},
};

const STUCK: usize = 64;
const ROUNDS: usize = 1000;
const BOUND: Duration = Duration::from_millis(50);

#[tokio::test]
#[ignore = "measures time, so it needs a quiet machine and the release build: tests/slowness.sh"]
async fn stuck_callers_do_not_delay_others() {
    let upstream = Upstream::builder().forgetful().start().await;
    let program = Process::start(&upstream.origin(), "[timeouts]\nrequest_head = \"1h\"\nbody = \"1h\"\n").await;
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        let mut slow = TcpStream::connect(program.listen).await.unwrap();
        slow.write_all(b"GET /svc/a HTTP/1.1\r\nHost: localhost\r\nX-").await.unwrap();
        let mut upload = TcpStream::connect(program.listen).await.unwrap();
        let head = request("POST", "/svc/a", &[("Content-Length", "1000000")], b"");
        upload.write_all(&[&head[..], b"{"].concat()).await.unwrap();
        stuck.push((slow, upload));
    }
    // The stuck uploads count as in flight; an unfinished head is not a request yet.
    while program.metric("wonder_signer_requests_in_flight").await < 64.0 {
        tokio::task::yield_now().await;
    }
    let (mut probes, mut requests, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
    let mut caller = Caller::connect(program.listen).await;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let live = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert_eq!(exchange(program.admin, live).await.status(), 200);
        probes.push(began.elapsed());
        let began = Instant::now();
        assert_eq!(caller.ask(&request("POST", "/svc/a", &[], b"{}")).await.text(), "200 whole");
        requests.push(began.elapsed());
        let began = Instant::now();
        assert_eq!(ask(program.listen, &request("POST", "/svc/a", &[], b"{}")).await.text(), "200 whole");
        fresh.push(began.elapsed());
    }
    eprintln!("{STUCK} slow heads and {STUCK} stuck uploads, {ROUNDS} of each\n");
    eprintln!("| | p50 | p99 | most |\n|---|---|---|---|");
    for (what, times) in
        [("/livez", &mut probes), ("request, kept connection", &mut requests), ("request, new connection", &mut fresh)]
    {
        times.sort_unstable();
        let (half, late, most) = (times[ROUNDS / 2], times[ROUNDS * 99 / 100], times[ROUNDS - 1]);
        eprintln!("| {what} | {half:?} | {late:?} | {most:?} |");
        assert!(late < BOUND, "{what}: {late:?}");
    }
}
