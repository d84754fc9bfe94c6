//! A strict local simulator of the Wonder gateway. It verifies every signature as described in `deploy/docs/wonder.md` §2, names the
//! step that fails, and keeps customers, payment tokens and orders in memory. No code here is a copy of Wonder's own. Behaviour that
//! Wonder does not document is chosen here, and the file that implements it marks the choice.
//!
//! It listens on loopback only unless the options allow more, so that other machines do not mistake it for a service.
//!
//! # Layout
//!
//! * `server`: sockets, TLS, connections, shutdown.
//! * `gate`: verification of signed requests.
//! * `customers`, `tokens`, `orders`, `payments`: the calls; `request`, `path`, `fields` and `filter`: their input from a request.
//! * `ledger`: the money of an order, pure: the effect of each call, and the resulting state.
//! * `store`: the data in memory; each change of an order is reported to `webhooks`, which delivers it. `state`: the file that keeps the
//!   data over a restart. `seed`: the initial data. `ids`: random or seeded ids.
//! * `answer`: the result of a call; `envelope`: answers as bytes; `refusal`: every refusal, its code and its text; `language`: the
//!   languages of pages.
//! * `console`: pages for a developer, with every call; `mask`: removes card numbers from texts.
//! * `faults`: requested faults.
//! * `served`: the table of all calls; `openapi`: their description.
//! * `pages`: pages for a payer's browser; `tls`: certificates made at start.
//!
//! ```no_run
//! # async fn example(app_id: wonder_signer::signing::AppId, key: wonder_signer::signing::VerifyingKey) -> Result<(), wonder_signer::simulator::BindError> {
//! use wonder_signer::simulator::{Options, Simulator};
//!
//! let simulator = Simulator::bind(Options { apps: vec![(app_id, key)], ..Options::default() }).await?;
//! let origin = simulator.origin(); // https://127.0.0.1:43121
//! let trusted = simulator.ca_pem(); // for the client
//! simulator.run(async { /* until this ends */ }).await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod console;
mod customers;
mod envelope;
mod faults;
mod fields;
mod filter;
mod gate;
mod ids;
mod language;
mod ledger;
mod mask;
mod openapi;
mod orders;
mod pages;
mod path;
mod payments;
mod refusal;
mod request;
mod seed;
mod served;
mod server;
mod state;
mod store;
mod tls;
mod tokens;
pub mod webhooks;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    middleware,
    routing::get,
};
use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;

pub use gate::Apps;
pub(crate) use ledger::Currency;
pub use seed::{Seed, SeedError};
pub use server::{BindError, Simulator};
pub use state::{StateError, StateFile};

use crate::{
    clock,
    net::hosts::Hosts,
    operations,
    signing::{AppId, RequestTime, VerifyingKey},
};
use answer::Answer;
use console::Console;
use faults::Switches;
use fields::Fields;
use gate::Gate;
use ids::Ids;
use ledger::Order;
use pages::{guard, payment, three_d_secure};
use refusal::Refusal;
use seed::Ground;
use state::{Batch, Journal, Stored};
use store::Store;
use webhooks::{History, Webhooks};

/// The currencies that are enabled by default.
pub(crate) const CURRENCIES: &str = "HKD,USD,EUR,GBP,CNY,JPY,AUD,CAD,CHF,IDR,INR,KRW,MOP,MYR,NZD,PHP,SGD,THB,TWD,VND";

/// Returns the time; tests replace the system's clock.
pub(crate) type Clock = Arc<dyn Fn() -> RequestTime + Send + Sync>;

/// The options of a simulator.
#[derive(Clone)]
pub struct Options {
    /// The address to listen on: a loopback address; port 0 means a free port.
    pub listen: SocketAddr,
    /// Whether `listen` may be an address that other machines can reach.
    pub allow_non_loopback: bool,
    /// Whether to serve TLS, with a certificate made at start.
    pub tls: bool,
    /// Names and addresses in the certificate, in addition to `localhost`, `127.0.0.1` and `::1`.
    pub tls_names: Vec<String>,
    /// The AppIDs that may call, each with the public key that verifies its signatures.
    pub apps: Vec<(AppId, VerifyingKey)>,
    /// The maximum number of customers, of payment tokens and of orders. A further order evicts the oldest finished one. A call
    /// that finds no room is refused with 507.
    pub capacity: usize,
    /// The currencies that are enabled.
    pub currencies: Vec<Currency>,
    /// For how long an identical refund of a transaction is refused as a repetition; zero for never.
    pub refund_window: Duration,
    /// The settings of webhooks.
    pub webhooks: webhooks::Settings,
    /// The file that keeps customers, tokens, orders and webhooks over a restart; `None` keeps them in memory alone.
    pub state: Option<Arc<StateFile>>,
    /// The initial data, which a reset restores.
    pub seed: Option<Seed>,
    /// A seed for ids, so that the same calls get the same ids.
    pub deterministic: Option<String>,
    /// The clock that request times are compared with.
    pub clock: Clock,
}

/// TLS on a free port of 127.0.0.1, no AppID, 100,000 customers, tokens and orders, common currencies, no refund window, the system's
/// clock.
impl Default for Options {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            allow_non_loopback: false,
            tls: true,
            tls_names: Vec::new(),
            apps: Vec::new(),
            capacity: 100_000,
            currencies: CURRENCIES.split(',').filter_map(Currency::parse).collect(),
            refund_window: Duration::ZERO,
            webhooks: webhooks::Settings::default(),
            state: None,
            seed: None,
            deterministic: None,
            clock: Arc::new(clock::request_time),
        }
    }
}

/// The shared state of the handlers.
struct Wonder {
    store: Mutex<Store>,
    /// Scheme and address of its pages.
    origin: String,
    clock: Clock,
    app_ids: Vec<AppId>,
    seed: Option<Seed>,
    currencies: Vec<Currency>,
    /// In seconds.
    refund_window: u64,
    console: Console,
    webhooks: Arc<Webhooks>,
    deliveries: Arc<History>,
    journal: Option<Arc<Journal>>,
    faults: Arc<Switches>,
}

impl Wonder {
    /// Locks the store and voids overdue orders.
    fn store(&self) -> MutexGuard<'_, Store> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.orders.void_overdue(self.now());
        store
    }

    /// Deletes all data except that of the seed.
    fn reset(&self) {
        let mut store = self.store();
        store.reset();
        self.webhooks.forget();
        if let Err(error) = self.sow(&mut store) {
            // It was accepted at start.
            tracing::error!(%error, "seed not used");
        }
        drop(store);
        self.faults.remove(None);
    }

    /// Puts the seed into an empty store.
    fn sow(&self, store: &mut Store) -> Result<(), SeedError> {
        let Some(seed) = &self.seed else { return Ok(()) };
        let (app_ids, currencies, now) = (&self.app_ids[..], &self.currencies[..], self.now());
        self.webhooks.silently(|| {
            Ground { store: &mut *store, app_ids, currencies, now }.sow(seed)?;
            store.orders.void_overdue(now);
            Ok(())
        })
    }

    /// Takes all rows that changed since the last time, in their state between two calls.
    fn changed_rows(&self) -> Batch {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = store.changed_rows();
        (batch.counters.deliveries, batch.deliveries) = self.deliveries.changed_rows();
        if let Some(journal) = &self.journal {
            batch.keys = std::mem::take(&mut journal.keys());
        }
        batch
    }

    /// Marks rows as changed again after a failed write.
    fn put_back(&self, batch: Batch) {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.put_back(&batch);
        self.deliveries.put_back(batch.deliveries.into_iter().map(|(id, _)| id));
        if let Some(journal) = &self.journal {
            journal.keys().extend(batch.keys);
        }
    }

    /// Seconds since 1970.
    fn now(&self) -> u64 {
        (self.clock)().unix_seconds()
    }

    /// The URL at which a person pays an order.
    fn payment_link(&self, order: &Order) -> String {
        format!("{}/l/{}", self.origin, order.number)
    }

    fn verify_url(&self, verify_uuid: Uuid) -> String {
        format!("{}{}", self.origin, tokens::verify_path(verify_uuid))
    }
}

/// The shared state of the handlers, with the data of the state file in the options.
fn wonder(options: &Options, origin: String, made: Made) -> Result<Arc<Wonder>, BindError> {
    let Made { ids, journal, faults, webhooks } = made;
    let mut store = Store::new(options.capacity, ids, journal.as_ref(), Arc::clone(&webhooks));
    let deliveries = webhooks.history();
    let has_state = match &options.state {
        Some(state) => state.load(|stored| restore(stored, &mut store, &deliveries))?,
        None => false,
    };
    store.orders.shrink();
    let wonder = Wonder {
        store: Mutex::new(store),
        origin,
        clock: Arc::clone(&options.clock),
        app_ids: options.apps.iter().map(|(app_id, _)| app_id.clone()).collect(),
        seed: options.seed.clone(),
        currencies: options.currencies.clone(),
        refund_window: options.refund_window.as_secs(),
        console: Console::new(),
        webhooks,
        deliveries,
        journal,
        faults,
    };
    if !has_state {
        wonder.sow(&mut wonder.store())?;
    }
    Ok(Arc::new(wonder))
}

/// Loads a row of the state file into empty memory.
fn restore(stored: Stored<'_>, store: &mut Store, deliveries: &History) -> Result<(), serde_json::Error> {
    match stored {
        Stored::Counters(counters) => {
            store.restore_counters(counters);
            deliveries.restore_count(counters.deliveries);
            Ok(())
        }
        Stored::Token(row) => store.customers.restore_token(row),
        Stored::Customer(at, row) => store.customers.restore(at, row),
        Stored::Order(row) => store.orders.restore(row),
        Stored::Delivery(row) => deliveries.restore(row),
    }
}

/// The parts of `wonder`.
struct Made {
    ids: Arc<Ids>,
    journal: Option<Arc<Journal>>,
    faults: Arc<Switches>,
    webhooks: Arc<Webhooks>,
}

/// All routes behind the gate, and the envelope around both.
fn router(options: Options, apps: Apps, wonder: &Arc<Wonder>) -> Router {
    let gate = Arc::new(Gate::new(apps, options.clock));
    let hosts = Arc::new(Hosts::new(options.tls_names));
    served::routes()
        .route("/l/{number}", get(payment::show).post(payment::decide))
        .route("/simulator/openapi.json", get(openapi::serve))
        .route("/3ds/{verify_uuid}", get(three_d_secure::show).post(three_d_secure::decide))
        .merge(console::routes())
        .fallback(nowhere)
        .method_not_allowed_fallback(async || Refusal::Method)
        .layer(DefaultBodyLimit::max(gate::BODY_LIMIT))
        .layer(middleware::from_fn_with_state(gate, gate::admit))
        .layer(middleware::from_fn(faults::refuse))
        .layer(middleware::from_fn_with_state(hosts, guard::admit))
        .layer(middleware::from_fn_with_state(Arc::clone(wonder), state::settle))
        .layer(middleware::from_fn_with_state(Arc::clone(wonder), envelope::render))
        .layer(middleware::from_fn_with_state(Arc::clone(wonder), faults::inject))
        .with_state(Arc::clone(wonder))
}

/// Both echo paths: returns `message` unchanged. The envelope is a guess (`deploy/docs/wonder.md` §1).
async fn echo(body: Bytes) -> Result<Answer, Refusal> {
    let body = fields::json(&body)?;
    Ok(Answer::new(json!({ "message": Fields::of(&body)?.value("message")? })))
}

/// `GET /simulator/webhooks`: the newest deliveries, the newest first. It is the simulator's own; Wonder has no such call.
async fn webhook_deliveries(State(wonder): State<Arc<Wonder>>) -> Answer {
    Answer::new(json!({ "webhooks": wonder.deliveries.newest_first() }))
}

async fn nowhere(method: http::Method, uri: http::Uri) -> Refusal {
    let path = uri.path();
    if !path.starts_with("/svc/") {
        return Refusal::NotWonder;
    }
    if path.starts_with("/svc/payment/public/") {
        return Refusal::NotServed("of the mobile SDK, which signs nothing");
    }
    // A path that Wonder has for another method counts as known.
    let methods = [method.as_str(), "GET", "POST", "PUT", "DELETE"];
    let operation = methods.into_iter().map(|method| operations::find(method, path)).find(|found| !found.is_other());
    operation.map_or(Refusal::NoRoute, |operation| Refusal::NotServed(operation.name()))
}
