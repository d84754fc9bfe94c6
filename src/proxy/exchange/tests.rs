use tokio::sync::Semaphore;

use super::*;
use crate::{
    config::{Config, Flags},
    net::shutdown::Shutdown,
    telemetry::{Recorder, TraceId},
};

/// Records the number of free slots at each request.
struct Watcher {
    places: Arc<Semaphore>,
    free: Mutex<Vec<usize>>,
}

impl Recorder for Watcher {
    fn wants(&self, _: TraceId, _: Option<bool>) -> bool {
        true
    }

    fn record(&self, _: &Finished<'_>) {
        self.free.lock().unwrap().push(self.places.available_permits());
    }
}

#[test]
fn a_slot_is_free_before_the_end_of_its_request_is_reported() {
    let places = Arc::new(Semaphore::new(1));
    let watcher = Arc::new(Watcher { places: Arc::clone(&places), free: Mutex::default() });
    let log = Config::load(&[], [], &Flags::default()).unwrap().log;
    let metrics = Metrics::new(&[]);
    let drain = Drain::new(Shutdown::default());
    let requests = Requests::new(&log).recorded_by(Arc::<Watcher>::clone(&watcher));
    let exchange = Exchange::open(
        &Request::new(String::new()),
        Caller::UnixSocket,
        HeaderValue::from_static("r-1"),
        metrics,
        requests,
        drain,
    );
    exchange.hold(Arc::clone(&places).try_acquire_owned().unwrap());
    assert_eq!(places.available_permits(), 0);
    drop(exchange);
    assert_eq!(*watcher.free.lock().unwrap(), [1]);
}
