//! The state file: what survives a restart, what a crash takes away, and what is wrong with a file.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use proptest::prelude::*;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use wonder_signer::simulator::{BindError, Options, Simulator, StateError, StateFile, webhooks::Settings};

use super::world::{APP_ID, CARD, Call, KEY, NOW, P, Reply, World, exchange};
use crate::support::{
    closed::Closed,
    patience::soon,
    program::{Alive, Program},
    upstream::{Act, Recorder},
};

/// A directory for a state file.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("state.redb")
    }

    /// A simulator with this state, which sends webhooks to `url`.
    async fn world(&self, url: Option<&str>) -> World {
        World::with(|options| {
            options.tls = false;
            options.state = Some(Arc::new(StateFile::open(&self.file()).unwrap()));
            options.webhooks = Settings {
                url: url.map(|url| url.parse().unwrap()),
                time_scale: "10000".parse().unwrap(),
                ..Settings::default()
            };
        })
        .await
    }
}

impl World {
    async fn deliveries(&self) -> Value {
        self.send(&Call::unsigned("GET", "/simulator/webhooks", "")).await.data()["webhooks"].clone()
    }

    async fn all_orders(&self) -> Value {
        self.call("GET", &format!("{P}/orders/list?limit=100"), "").await.data()["orders"].clone()
    }
}

#[tokio::test]
async fn a_restart_keeps_customers_tokens_orders_transactions_and_deliveries() {
    let (place, receiver) = (Place::new(), Recorder::start().await);
    let world = place.world(Some(&receiver.origin())).await;
    let customer = world.customer("KTR-0042").await;
    let (approved, declined) = (world.card(&customer).await, world.card(&customer).await);
    world.press(&approved, "approve").await;
    world.press(&declined, "decline").await;
    let paid = world.order("INV-1", "120.00").await;
    world.pay(&paid, &json!({ "method": "alipay" })).await.data();
    world.refund(&paid, "20.00").await.data();
    let open = world.order("INV-2", "19.90").await;
    for _ in 0..4 {
        receiver.next().await;
    }
    soon(async {
        while world.deliveries().await.as_array().unwrap().iter().any(|one| one["outcome"] != "acknowledged") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let target = format!("{P}/customers/{customer}");
    let before = [world.call("GET", &target, "").await.data(), world.deliveries().await];
    let orders = [world.check_order(&paid).await, world.check_order(&open).await];
    let states = [world.check(&customer, &approved).await, world.check(&customer, &declined).await];
    world.stop().await;

    let world = place.world(Some(&receiver.origin())).await;
    assert_eq!([world.call("GET", &target, "").await.data(), world.deliveries().await], before);
    assert_eq!([world.check_order(&paid).await, world.check_order(&open).await], orders);
    assert_eq!([world.check(&customer, &approved).await, world.check(&customer, &declined).await], states);
    assert_eq!(
        world.call("GET", &format!("{P}/customers/ref/KTR-0042"), "").await.data()["customer"]["uuid"],
        customer
    );
    // Numbers go on.
    let next: u64 = world.order("INV-3", "1").await["number"].as_str().unwrap().parse().unwrap();
    assert_eq!(next, open["number"].as_str().unwrap().parse::<u64>().unwrap() + 1);
    // What is gone stays gone.
    world.call("DELETE", &target, "").await.data();
    world.stop().await;
    let world = place.world(None).await;
    assert_eq!(world.call("GET", &target, "").await.status, 404);
    assert_eq!(world.call("POST", &format!("{target}/payment_tokens"), CARD).await.status, 404);
}

#[tokio::test]
async fn a_retry_that_waits_goes_on_after_a_restart_with_the_headers_of_the_first_attempt() {
    let place = Place::new();
    let fails = Arc::new(AtomicBool::new(true));
    let judged = Arc::clone(&fails);
    let receiver = Recorder::acting(move |_| {
        if judged.load(Ordering::SeqCst) {
            Act::Answer(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n".to_vec())
        } else {
            Act::ok()
        }
    })
    .await;
    let url = format!("{}/hook?a=1", receiver.origin());
    let world = place.world(Some(&url)).await;
    world.set_clock(NOW);
    world.order("INV-1", "1").await;
    let first = receiver.next().await;
    receiver.next().await;
    world.stop().await;
    fails.store(false, Ordering::SeqCst);
    // Attempts of the first simulator.
    while receiver.waiting() > 0 {
        receiver.next().await;
    }

    // The clock went backwards: the wait is no longer than the schedule's.
    let world = World::with(|options| {
        options.tls = false;
        options.clock = Arc::new(|| wonder_signer::signing::RequestTime::from_unix_seconds(NOW - 86_400));
        options.state = Some(Arc::new(StateFile::open(&place.file()).unwrap()));
        options.webhooks =
            Settings { url: Some(url.parse().unwrap()), time_scale: "10000".parse().unwrap(), ..Settings::default() };
    })
    .await;
    let again = receiver.next().await;
    for name in ["credential", "nonce", "signature", "x-action"] {
        assert_eq!(again.value(name), first.value(name), "{name}");
    }
    assert_eq!((again.start_line(), &again.body), (first.start_line(), &first.body));
    soon(async {
        while world.deliveries().await[0]["outcome"] != "acknowledged" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The attempt that the end of the first simulator cut off has no result.
    assert!(world.deliveries().await[0]["attempts"].as_array().unwrap().len() >= 2);
}

#[tokio::test]
async fn a_reset_empties_the_file_too() {
    let place = Place::new();
    let world = place.world(Some(&Closed::port().origin())).await;
    world.customer("KTR-0042").await;
    let order = world.order("INV-1", "1").await;
    for _ in 0..2 {
        world.send(&Call::unsigned("POST", "/simulator/reset", "")).await.data();
        assert_eq!([world.all_orders().await, world.deliveries().await], [json!([]), json!([])]);
    }
    world.stop().await;
    let world = place.world(None).await;
    assert_eq!([world.all_orders().await, world.deliveries().await], [json!([]), json!([])]);
    assert_eq!(world.call("GET", &format!("{P}/customers/ref/KTR-0042"), "").await.status, 404);
    assert_ne!(world.order("INV-1", "1").await["number"], order["number"]);
}

#[tokio::test]
async fn a_smaller_capacity_evicts_the_oldest_finished_orders_of_the_file() {
    let place = Place::new();
    let world = place.world(None).await;
    for at in 0..4 {
        let order = world.order(&format!("INV-{at}"), "1").await;
        if at < 3 {
            world.pay(&order, &json!({})).await.data();
        }
    }
    world.stop().await;
    let world = World::with(|options| {
        options.tls = false;
        options.capacity = 2;
        options.state = Some(Arc::new(StateFile::open(&place.file()).unwrap()));
    })
    .await;
    let references = |orders: Value| -> Vec<String> {
        orders.as_array().unwrap().iter().map(|one| one["order"]["reference_number"].as_str().unwrap().into()).collect()
    };
    assert_eq!(references(world.all_orders().await), ["INV-2", "INV-3"]);
    world.stop().await;
    assert_eq!(references(place.world(None).await.all_orders().await), ["INV-2", "INV-3"]);
}

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

/// The program's one line about a state file.
fn line(path: &Path, code: i32) -> String {
    let directory = TempDir::new().unwrap();
    let key = directory.path().join("public_key.pem");
    fs::write(&key, KEY.verifying_key().to_pem().unwrap()).unwrap();
    let (key, path) = (key.to_str().unwrap(), path.to_str().unwrap());
    let arguments =
        ["simulate", "--listen", "127.0.0.1:0", "--app-id", APP_ID, "--public-key-file", key, "--state", path];
    let ended = Program::run(&arguments, &[], b"");
    let line = ended.refused(code).strip_prefix(&format!("start: --state {path}: ")).map(str::to_owned);
    line.unwrap_or_else(|| panic!("{ended:?}"))
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_and_the_file_is_left_as_it_is() {
    let place = Place::new();
    place.world(None).await.stop().await;
    let whole = fs::read(place.file()).unwrap();
    let path = |name: &str| place.0.path().join(name);
    let with = |name: &str, content: &[u8]| {
        fs::write(path(name), content).unwrap();
        path(name)
    };
    assert_eq!(line(place.0.path(), 64), "is not a regular file; name a file");
    assert_eq!(line(Path::new("/dev/null"), 64), "is not a regular file; name a file");
    let absent = line(&path("none/state"), 64);
    assert!(absent.starts_with("cannot be opened for reading and writing: "), "{absent}");
    assert!(absent.ends_with("; create its directory, or name another file"), "{absent}");
    let below = line(&place.file().join("state"), 64);
    assert!(below.ends_with("; create its directory, or name another file"), "{below}");
    let foreign = "is not a state file; name another file, because it would be overwritten";
    for content in [&b"{\"orders\":[]}"[..], &[0; 8192], "x".repeat(100_000).as_bytes()] {
        let file = with("foreign", content);
        assert_eq!(line(&file, 64), foreign);
        assert_eq!(fs::read(&file).unwrap(), content);
    }
    let cut = with("cut", &whole[..whole.len() / 2]);
    assert!(line(&cut, 64).starts_with("is damaged ("));
    assert_eq!(fs::read(&cut).unwrap(), whole[..whole.len() / 2]);

    let other = path("other");
    let database = redb::Database::create(&other).unwrap();
    let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let transaction = database.begin_write().unwrap();
    transaction.open_table(meta).unwrap().insert("format", &b"7"[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(
        line(&other, 64),
        "has another format than this version reads (format 7, and not 1); use the version that wrote it, or name another file"
    );
    drop(redb::Database::create(path("empty")).unwrap());
    assert_eq!(line(&path("empty"), 64), foreign, "a database of another program");

    let _held = StateFile::open(&place.file()).unwrap();
    assert_eq!(line(&place.file(), 1), "is in use by another process; stop the other simulator, or name another file");
    assert_eq!(place.file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

/// The line of a process that is not root, and of one whose files cannot grow.
fn line_of(place: &Place, path: &Path, limit: Option<&str>) -> (Option<i32>, String) {
    let program = place.0.path().join("wonder-signer");
    // Another process writes the copy: a child of another test could inherit a descriptor that is open for writing, and execve(2)
    // fails with ETXTBSY while one exists.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_wonder-signer")).arg(&program).status().unwrap().success());
    let key = place.0.path().join("public_key.pem");
    fs::write(&key, KEY.verifying_key().to_pem().unwrap()).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    if let Some(limit) = limit {
        command.args(["prlimit", limit]);
    }
    command.arg(&program).args([
        "simulate",
        "--plain",
        "--listen",
        "127.0.0.1:0",
        "--app-id",
        APP_ID,
        "--public-key-file",
    ]);
    command.arg(&key).arg("--state").arg(path).env_clear().env("PATH", "/usr/bin:/bin");
    if limit.is_none() && rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let ended = command.output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_file_without_write_access_or_room_is_named_with_the_remedy_and_stays_as_it_is() {
    let place = Place::new();
    mode(place.0.path(), 0o755);
    place.world(None).await.stop().await;
    let before = fs::read(place.file()).unwrap();
    let refused = |path: &Path, reason: &str, remedy: &str| {
        let (code, said) = line_of(&place, path, None);
        let start =
            format!("wonder-signer: start: --state {}: cannot be opened for reading and writing: ", path.display());
        let rest = said.strip_prefix(&start).unwrap_or_else(|| panic!("{said}")).to_lowercase();
        assert!(code == Some(64) && rest.starts_with(reason) && rest.ends_with(&format!("; {remedy}\n")), "{said}");
    };
    let remedy = "give the user of this process write access to the file, and to its directory where the file is new";
    for bits in [0o444, 0o600, 0o000] {
        mode(&place.file(), bits);
        refused(&place.file(), "permission denied", remedy);
    }
    // A new file in a directory of another user, and in one that cannot be entered.
    let directory = place.0.path().join("closed");
    fs::create_dir(&directory).unwrap();
    mode(&directory, 0o755);
    if rustix::process::geteuid().is_root() {
        refused(&directory.join("state"), "permission denied", remedy);
    }
    mode(&directory, 0o000);
    refused(&directory.join("state"), "permission denied", remedy);
    mode(&directory, 0o755);
    assert_eq!(fs::read(place.file()).unwrap(), before);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "nothing is left");

    // No room for a new file, absent or empty: nothing is left that would not be a state file.
    let new = directory.join("new");
    for is_there in [false, true] {
        if is_there {
            fs::write(&new, "").unwrap();
        }
        let (code, said) = line_of(&place, &new, Some("--fsize=65536"));
        let start = format!("wonder-signer: start: --state {}: cannot be read or written: ", new.display());
        assert!(code == Some(1) && said.starts_with(&start), "{said}");
        assert!(said.ends_with("; make room on the disk, or name a file on another one\n"), "{said}");
        assert_eq!(fs::metadata(&new).map_or(0, |new| new.len()), 0);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), usize::from(is_there));
    }
}

/// Opens a copy of a state file as a simulator does; returns the numbers of orders in it.
async fn opened(content: &[u8]) -> Result<usize, StateError> {
    let place = Place::new();
    fs::write(place.file(), content).unwrap();
    let state = Arc::new(StateFile::open(&place.file())?);
    let options = Options { tls: false, state: Some(state), ..Options::default() };
    match Simulator::bind(options).await {
        Ok(_) => {}
        Err(BindError::State(error)) => return Err(error),
        Err(error) => panic!("{error}"),
    }
    Ok(place.world(None).await.all_orders().await.as_array().unwrap().len())
}

#[test]
fn a_file_that_is_cut_or_changed_anywhere_is_refused_or_whole() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = Place::new();
    let whole = runtime.block_on(async {
        let world = place.world(None).await;
        for at in 0..30 {
            world.order(&format!("INV-{at}"), "1").await;
        }
        world.stop().await;
        fs::read(place.file()).unwrap()
    });
    let judge = |content: &[u8]| match runtime.block_on(opened(content)) {
        Ok(orders) => {
            if orders == 30 {
                Ok(())
            } else {
                Err(TestCaseError::fail(format!("{orders} orders")))
            }
        }
        Err(StateError::Damaged(_) | StateError::Foreign | StateError::Format(_)) => Ok(()),
        Err(error) => Err(TestCaseError::fail(error.to_string())),
    };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 60, ..ProptestConfig::default() });
    let length = whole.len();
    runner.run(&(1..length), |end| judge(&whole[..end])).unwrap();
    // Most bytes are of pages that are not in use, so half of the changes are near the beginning.
    let places = prop_oneof![0..length, 0..length.min(4096), 0..512_usize];
    runner
        .run(&(places, 1..=255_u8), |(at, change)| {
            let mut content = whole.clone();
            content[at] ^= change;
            judge(&content)
        })
        .unwrap();
}
