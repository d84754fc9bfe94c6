//! The admission layer: a request waits for a slot before any of its body is read.

use std::sync::Arc;

use tower::{Layer, Service, layer::layer_fn, service_fn};

use super::exchange::Call;
use crate::{
    contract::Code,
    net::{
        admission::{Admission, body},
        respond::Failure,
    },
};

pub(super) fn layer<S>(
    admission: Arc<Admission>,
) -> impl Layer<S, Service = impl Service<Call, Response = S::Response, Error = Failure, Future: Send> + Clone + Send>
where
    S: Service<Call, Error = Failure, Future: Send> + Clone + Send + Sync,
{
    layer_fn(move |inner: S| {
        let admission = Arc::clone(&admission);
        service_fn(move |call: Call| {
            let (mut inner, admission) = (inner.clone(), Arc::clone(&admission));
            async move {
                match admission.slot().await {
                    Ok(slot) => call.exchange.hold(slot),
                    Err(failure) => {
                        if failure.code == Code::Overloaded && body::discard_small(call.request).await {
                            call.exchange.body_discarded();
                        }
                        return Err(failure);
                    }
                }
                inner.call(call).await
            }
        })
    })
}
