//! The one connection to Redis that all commands share, opened when it is needed.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{AsyncConnectionConfig, RedisConnectionInfo, aio::MultiplexedConnection};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::TlsConnector;

use super::Failure;
use crate::{
    config::{self, RedisUrl},
    net::tls::{self, TlsError},
};

/// How long Redis is left alone after a failed connection.
const REST: Duration = Duration::from_secs(1);
/// More than any file with one password has.
const PASSWORD_CAP: usize = 4096;

/// Opens connections.
pub struct Connections {
    url: RedisUrl,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Read for each connection, so that a changed password is used without a restart.
    password_file: Option<PathBuf>,
    state: Mutex<State>,
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    resting_until: Option<Instant>,
}

impl Connections {
    /// Reads what connections need; opens none.
    pub fn new(settings: &config::Redis) -> Result<Self, TlsError> {
        let url = settings.url.clone();
        let tls = if url.tls { Some(tls::redis_client(settings)?) } else { None };
        Ok(Self {
            url,
            tls,
            password_file: settings.password_file.clone(),
            state: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        })
    }

    /// The connection, and whether it is a new one.
    pub(super) async fn get(&self) -> Result<(MultiplexedConnection, bool), Failure> {
        if let Some(connection) = self.kept()? {
            return Ok((connection, false));
        }
        let _opening = self.opening.lock().await;
        if let Some(connection) = self.kept()? {
            return Ok((connection, true));
        }
        match self.open().await {
            Ok(connection) => {
                *self.state() = State { connection: Some(connection.clone()), resting_until: None };
                Ok((connection, true))
            }
            Err(error) => {
                self.rest();
                Err(Failure::Connection(error))
            }
        }
    }

    /// Forgets the connection, which has failed.
    pub(super) fn discard(&self) {
        self.state().connection = None;
    }

    /// Forgets the connection, and opens no other for a moment.
    pub(super) fn rest(&self) {
        *self.state() = State { connection: None, resting_until: Some(Instant::now() + REST) };
    }

    fn kept(&self) -> Result<Option<MultiplexedConnection>, Failure> {
        let state = self.state();
        match state.resting_until {
            Some(until) if Instant::now() < until => Err(Failure::Resting),
            _ => Ok(state.connection.clone()),
        }
    }

    async fn open(&self) -> io::Result<MultiplexedConnection> {
        let tcp = TcpStream::connect((&*self.url.host, self.url.port)).await?;
        // A command is one small write.
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => self.begin(tcp).await,
            Some((config, name)) => {
                let tls = TlsConnector::from(Arc::clone(config)).connect(name.clone(), tcp).await?;
                self.begin(tls).await
            }
        }
    }

    async fn begin(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<MultiplexedConnection> {
        let mut info = RedisConnectionInfo::default().set_db(self.url.database.into()).set_skip_set_lib_name();
        if let Some(user) = &self.url.user {
            info = info.set_username(user);
        }
        if let Some(path) = &self.password_file {
            let content = crate::files::read(path, PASSWORD_CAP)
                .map_err(|error| io::Error::other(format!("webhook.redis.password_file {} {error}", path.display())))?;
            let password = std::str::from_utf8(content.bytes.trim_ascii())
                .map_err(|_| io::Error::other("webhook.redis.password_file is not UTF-8"))?;
            info = info.set_password(password);
        }
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, AsyncConnectionConfig::new())
            .await
            .map_err(io::Error::other)?;
        // Ends when the last handle of the connection is dropped.
        tokio::spawn(driver);
        Ok(connection)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
