//! The webhook listener as a part of the sidecar.

use std::{
    future::{Future, pending},
    sync::Arc,
};

use super::{
    error::{StartError, failed},
    settings::{admission_limits, allowance, backlog},
};
use crate::{
    clock,
    config::{Config, ListenAddress},
    credentials::Store,
    files::Subject,
    metrics::Metrics,
    net::{
        admission::{Admission, AdmissionLimits, body::BodyLimits},
        drain::Drain,
        listen::Listener,
        server::{self, ListenerSet},
        shutdown::{Shutdown, Stage},
        tls_server::{TlsFiles, TlsServer},
    },
    webhook::{self, RedisConnections},
};

const KEY: &str = "webhook.address";

/// A bound webhook listener.
pub(super) struct WebhookListener {
    listener: Listener,
    tls: Option<Arc<TlsServer>>,
    redis: Option<RedisConnections>,
}

impl WebhookListener {
    /// Binds it, if there is to be one.
    pub(super) async fn start(config: &Config, metrics: &Metrics) -> Result<Option<Self>, StartError> {
        let settings = &config.webhook;
        let Some(address) = &settings.address else { return Ok(None) };
        let tls = settings
            .tls
            .as_ref()
            .map(|tls| TlsServer::load(TlsFiles::webhook(tls), metrics).map(Arc::new))
            .transpose()?;
        let redis = settings.redis.as_ref().map(RedisConnections::new).transpose()?;
        let listener = Listener::bind(address, settings.socket_mode, backlog(config)).await;
        Ok(Some(Self { listener: listener.map_err(failed(KEY, address))?, tls, redis }))
    }

    /// The files to watch, if it has TLS.
    pub(super) fn subject(&self) -> Option<Subject> {
        self.tls.as_ref().map(TlsServer::subject)
    }

    pub(super) fn address(&self) -> Result<ListenAddress, StartError> {
        self.listener.address().map_err(failed(KEY, "unknown"))
    }

    /// Serves it until every connection and every webhook has ended. Its limits are those of the signing listener, for itself: webhooks
    /// take no place of a request. The drain is that of its webhooks.
    pub(super) fn serve(
        self,
        config: &Config,
        credentials: Arc<Store>,
        metrics: &Metrics,
        shutdown: &Shutdown,
    ) -> (Drain, impl Future<Output = ()> + use<>) {
        let Self { listener, tls, redis } = self;
        let limits = admission_limits(config);
        let body = BodyLimits { size: config.limits.webhook_body, size_key: "limits.webhook_body", ..limits.body };
        let admission = Arc::new(Admission::new(AdmissionLimits { body, ..limits }, metrics.clone()));
        let (service, in_flight, drain) = webhook::service(webhook::Parts {
            config,
            credentials,
            redis,
            admission: Arc::clone(&admission),
            metrics,
            shutdown: shutdown.clone(),
            clock: clock::request_time,
        });
        let set = ListenerSet {
            listeners: vec![listener],
            tls,
            service,
            admission: Arc::clone(&admission),
            allowance: allowance(config),
        };
        let (metrics, shutdown) = (metrics.clone(), shutdown.clone());
        let serving = async move {
            let serving = async {
                server::serve(set, &shutdown, &metrics).await;
                // A webhook whose sender has hung up has no connection, and is finished like the others.
                in_flight.ended().await;
            };
            let closing = async {
                shutdown.reached(Stage::Over).await;
                admission.close();
                pending::<()>().await;
            };
            tokio::select! {
                biased;
                () = serving => {}
                () = closing => {}
            }
        };
        (drain, serving)
    }
}
