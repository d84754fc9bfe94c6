//! The one connection to Redis that all commands share, opened when it is needed.

use std::{
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
use zeroize::Zeroizing;

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
pub(crate) struct Connections {
    url: RedisUrl,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Read for each connection, so that a changed password is used without a restart.
    password_file: Option<PathBuf>,
    state: Mutex<State>,
    opening: tokio::sync::Mutex<()>,
}

/// Why the connections to Redis cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum RedisSetupError {
    /// Of its TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Of its password.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// Why the password file cannot be used. Nothing of its content is repeated.
#[derive(Debug, thiserror::Error)]
#[error("webhook.redis.password_file {}: {cause}", path.display())]
pub struct PasswordError {
    path: PathBuf,
    cause: String,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    resting_until: Option<Instant>,
}

impl Connections {
    /// Reads what connections need; opens none.
    ///
    /// # Errors
    /// When a file of the settings cannot be used.
    pub(crate) fn new(settings: &config::Redis) -> Result<Self, RedisSetupError> {
        let url = settings.url.clone();
        let tls = if url.tls { Some(tls::redis_client(settings)?) } else { None };
        let connections = Self {
            url,
            tls,
            password_file: settings.password_file.clone(),
            state: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        };
        connections.password()?;
        Ok(connections)
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
                Err(error)
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

    async fn open(&self) -> Result<MultiplexedConnection, Failure> {
        let tcp = TcpStream::connect((&*self.url.host, self.url.port)).await.map_err(Failure::Connection)?;
        // A command is one small write.
        tcp.set_nodelay(true).map_err(Failure::Connection)?;
        match &self.tls {
            None => self.begin(tcp).await,
            Some((config, name)) => {
                let tls = TlsConnector::from(Arc::clone(config)).connect(name.clone(), tcp).await;
                self.begin(tls.map_err(Failure::Connection)?).await
            }
        }
    }

    async fn begin(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<MultiplexedConnection, Failure> {
        let mut info = RedisConnectionInfo::default().set_db(self.url.database.into()).set_skip_set_lib_name();
        if let Some(user) = &self.url.user {
            info = info.set_username(user);
        }
        if let Some(password) = self.password()? {
            info = info.set_password(password.as_str());
        }
        let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, AsyncConnectionConfig::new())
            .await
            .map_err(Failure::Setup)?;
        // Ends when the last handle of the connection is dropped.
        tokio::spawn(driver);
        Ok(connection)
    }

    /// The password that the file holds now.
    fn password(&self) -> Result<Option<Zeroizing<String>>, PasswordError> {
        let Some(path) = &self.password_file else { return Ok(None) };
        let refused = |cause: String| PasswordError { path: path.clone(), cause };
        let content = crate::files::read(path, PASSWORD_CAP).map_err(|error| refused(error.to_string()))?;
        match std::str::from_utf8(content.bytes.trim_ascii()) {
            Ok("") => Err(refused(
                "holds no password: it is empty; write the password into it, or leave the key out".to_owned(),
            )),
            Ok(text) if text.contains(char::is_control) => Err(refused(
                "holds more than one line, or a control character; leave only the password in it".to_owned(),
            )),
            Ok(password) => Ok(Some(Zeroizing::new(password.to_owned()))),
            Err(_) => Err(refused("holds no password: it is not UTF-8 text; write the password as text".to_owned())),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
