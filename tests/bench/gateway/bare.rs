//! A minimal signing proxy on hyper, rustls and aws-lc-rs: no limits, no deadlines, no log, no metrics, no second attempt, and any error
//! ends it. Its cost is the floor on a machine; the product's extra cost pays for those features.

use std::{cell::RefCell, convert::Infallible, env, rc::Rc, sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local},
};
use tokio_rustls::TlsConnector;
use wonder_signer::signing::{AppId, Nonce, RequestTime, SigningKey, Stamp, sign};

struct Bare {
    key: SigningKey,
    app_id: AppId,
    tls: TlsConnector,
    origin: String,
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

/// Serves until it is killed; reads the product's own variables.
pub fn run() {
    let value = |name: &str| env::var(format!("WONDER_SIGNER_{name}")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(value("UPSTREAM__CA_FILE")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(roots).with_no_client_auth();
    let bare = Rc::new(Bare {
        key: SigningKey::from_pem(value("CREDENTIALS__DEFAULT__PRIVATE_KEY").as_bytes()).unwrap(),
        app_id: value("CREDENTIALS__DEFAULT__APP_ID").parse().unwrap(),
        tls: TlsConnector::from(Arc::new(tls)),
        origin: value("UPSTREAM__ORIGIN").trim_start_matches("https://").to_owned(),
        idle: RefCell::default(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(value("LISTEN__ADDRESS")).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let bare = Rc::clone(&bare);
            spawn_local(async move {
                let service = service_fn(|request| Rc::clone(&bare).call(request));
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

impl Bare {
    async fn call(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Incoming>, Infallible> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let seconds = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let request_time = RequestTime::from_unix_seconds(seconds);
        let stamp = Stamp { request_time, nonce: Nonce::generate(&mut rand::thread_rng()) };
        let target = head.uri.path_and_query().unwrap().as_str();
        let signed = sign(&self.key, &self.app_id, &stamp, head.method.as_str(), target, &[&body]).unwrap();
        for (name, value) in
            [("credential", signed.credential), ("nonce", signed.nonce), ("signature", signed.signature)]
        {
            head.headers.insert(name, value.parse().unwrap());
        }
        head.headers.remove(header::CONNECTION);
        head.headers.insert(header::HOST, HeaderValue::from_str(&self.origin).unwrap());
        let idle = self.idle.borrow_mut().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await,
        };
        connection.ready().await.unwrap();
        let answer = connection.send_request(Request::from_parts(head, Full::new(body))).await.unwrap();
        self.idle.borrow_mut().push(connection);
        Ok(answer)
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(&self.origin).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = self.tls.connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        spawn_local(connection);
        sender
    }
}
