//! The state file of the built program: a crash and a full disk.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::Place;
use crate::{
    simulator::world::{APP_ID, Call, KEY, P, Reply, exchange},
    support::{
        closed::Closed,
        patience::soon,
        program::Alive,
        upstream::{Act, Recorder},
    },
};

/// The built program, which serves a state file until it is killed.
struct Served {
    process: Alive,
    address: SocketAddr,
}

impl Served {
    /// Starts it from a shell that ignores the signal for files that would become too large, as the system sends it before the error.
    fn start(place: &Place, more: &[&str]) -> Self {
        let path = |name: &str| place.0.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("public_key.pem"), KEY.verifying_key().to_pem().unwrap()).unwrap();
        let mut process = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_wonder-signer"), "simulate", "--plain"])
            .args(["--listen", "127.0.0.1:0", "--app-id", APP_ID, "--public-key-file", &path("public_key.pem")])
            .args(["--time-scale", "100", "--state", &path("state.redb")])
            .args(more)
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
        let process = Alive(process);
        let mut seen = Vec::new();
        let ready = lines.find(|line| {
            seen.push(line.clone());
            line.contains("simulator ready")
        });
        let ready: Value = serde_json::from_str(&ready.unwrap_or_else(|| panic!("{seen:?}"))).unwrap();
        let address = ready["origin"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// Ends it as a crash does.
    fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    async fn send(&self, call: &Call) -> Reply {
        exchange(TcpStream::connect(self.address).await.unwrap(), &call.bytes()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let target = format!("{P}/{path}");
        self.send(&Call::signed_with(&KEY, APP_ID, now, "POST", &target, &body.to_string())).await
    }

    async fn order(&self, reference_number: &str) -> Reply {
        self.post("orders", &json!({ "order": { "reference_number": reference_number, "charge_fee": "120.00" } })).await
    }

    fn limit_files(&self, bytes: Option<u64>) {
        let pid = Pid::from_child(&self.process.0);
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_in_the_middle_of_a_run_goes_on_with_the_order_and_its_webhooks() {
    let (place, closed) = (Place::new(), Closed::port());
    let url = format!("{}/hook", closed.origin());
    let (first_key, second_key) = (place.0.path().join("first.pem"), place.0.path().join("second.pem"));
    let options = ["--webhook-url", &url, "--webhook-public-key-out"];
    let served = Served::start(&place, &[&options[..], &[first_key.to_str().unwrap()]].concat());
    let order = served.order("INV-7781").await.data()["order"].clone();
    served.kill();

    let served = Served::start(&place, &[&options[..], &[second_key.to_str().unwrap()]].concat());
    assert_eq!(fs::read(&first_key).unwrap(), fs::read(&second_key).unwrap(), "the webhook key is the same");
    let number = order["number"].as_str().unwrap();
    let pay = Call::unsigned("POST", &format!("/simulator/orders/{number}/pay"), "{}");
    assert_eq!(served.send(&pay).await.data()["order"]["state"], "completed");
    served.kill();

    let receiver = Recorder::on(closed.open(), |_| Act::ok());
    let served = Served::start(&place, &options[..2]);
    assert_eq!(receiver.next().await.value("x-action"), Some("order.created"));
    let paid = receiver.next().await;
    assert_eq!(paid.value("x-action"), Some("order.paid"));
    assert_eq!(serde_json::from_slice::<Value>(&paid.body).unwrap()["number"], number);
    let check = served.post("orders/check", &json!({ "order": { "reference_number": "INV-7781" } })).await;
    assert_eq!(check.data()["order"]["correspondence_state"], "paid");
    assert_eq!(served.process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_calls_until_there_is_room_and_loses_nothing() {
    let place = Place::new();
    let served = Served::start(&place, &[]);
    served.order("before").await.data();
    served.limit_files(Some(4096));
    let failed = served.order("during").await.refused(507, "E000054");
    assert!(failed.starts_with("The state file (--state) cannot be written: "), "{failed}");
    assert!(failed.ends_with("The call was carried out, and the simulator writes its change afterwards."), "{failed}");
    let blocked = served.order("refused").await.refused(507, "E000053");
    assert!(blocked.contains("Remove the cause, such as a full disk. Nothing was carried out;"), "{blocked}");
    // What reads alone goes on.
    assert_eq!(served.send(&Call::unsigned("GET", "/console/orders", "")).await.status, 200);
    served.limit_files(None);
    soon(async {
        while served.order("after").await.status != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    served.kill();
    let served = Served::start(&place, &[]);
    for (reference, status) in [("before", 200), ("during", 200), ("refused", 404), ("after", 200)] {
        let found = served.post("orders/check", &json!({ "order": { "reference_number": reference } })).await;
        assert_eq!(found.status, status, "{reference}");
    }
}
