//! Remembers deliveries in Redis, for replicas that share an address.
//!
//! Each delivery has a key. Its value is a token of the forwarding replica (`SET NX PX`), or `acknowledged`. A token expires shortly after
//! the application's time limit, so that a replica that ended in between loses nothing. The keys contain only hashes, and no part of a
//! webhook.
//!
//! If Redis fails, the caller forwards the delivery anyway, because twice is better than never. After a failed connection Redis is not
//! tried for a second, so that an outage does not delay each webhook.

mod connection;

use std::time::Duration;

use redis::{Cmd, FromRedisValue, RedisError, cmd};
use tokio::time::{Instant, sleep, timeout};

use self::connection::PasswordError;
pub(crate) use self::connection::{Connections, RedisSetupError};
use super::Identity;

const PREFIX: &str = "wonder-signer:webhook:";
const ACKNOWLEDGED: &str = "acknowledged";
/// How much longer than the application's time a claim lasts.
const MARGIN: Duration = Duration::from_secs(5);
/// The interval at which a replica checks whether another one has finished.
const POLL: Duration = Duration::from_millis(50);
/// Deletes a key if it still has the value that was claimed with.
const RELEASE: &str = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end return 0";

/// The store.
pub(super) struct Redis {
    connections: Connections,
    /// Of one command, connecting included.
    limit: Duration,
    /// How long a claim lasts.
    claim: Duration,
}

/// The store's answer for a delivery.
pub(super) enum Found {
    /// The application has acknowledged it.
    Acknowledged,
    /// This replica must forward it.
    Claimed(Token),
}

/// This replica's claim of a delivery.
pub(super) struct Token {
    key: String,
    value: String,
}

/// Why a Redis command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot be connected to: {0}")]
    Connection(std::io::Error),
    #[error("cannot be connected to: {0}")]
    Password(#[from] PasswordError),
    #[error("cannot be connected to: {}", shown(.0))]
    Setup(RedisError),
    #[error("{}", shown(.0))]
    Command(RedisError),
    #[error("no answer within {0:?} (webhook.redis.timeout)")]
    Late(Duration),
    #[error("left alone for a moment after a failed connection")]
    Resting,
    #[error("another replica has claimed the delivery for longer than the application may take")]
    Stuck,
}

impl Redis {
    pub(super) fn new(connections: Connections, limit: Duration, forward: Duration) -> Self {
        Self { connections, limit, claim: forward + MARGIN }
    }

    /// Claims a delivery, or waits for the replica that has.
    pub(super) async fn claim(&self, identity: &Identity) -> Result<Found, Failure> {
        let token = Token { key: key(identity), value: format!("{:032x}", rand::random::<u128>()) };
        let patience = Instant::now() + self.claim;
        let claim = u64::try_from(self.claim.as_millis()).unwrap_or(u64::MAX);
        let (set, get) = (set(&token.key, &token.value, claim, &["NX"]), command("GET", &[&token.key]));
        loop {
            if self.run::<Option<String>>(&set).await?.is_some() {
                return Ok(Found::Claimed(token));
            }
            match self.run::<Option<String>>(&get).await? {
                Some(value) if value == ACKNOWLEDGED => return Ok(Found::Acknowledged),
                // The claim was set and its confirmation was lost.
                Some(value) if value == token.value => return Ok(Found::Claimed(token)),
                Some(_) if Instant::now() >= patience => return Err(Failure::Stuck),
                Some(_) => sleep(POLL).await,
                None => {}
            }
        }
    }

    /// Remembers for `keep` that a delivery was acknowledged.
    pub(super) async fn acknowledge(&self, identity: &Identity, keep: Duration) -> Result<(), Failure> {
        let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).max(1);
        self.run(&set(&key(identity), ACKNOWLEDGED, keep, &[])).await
    }

    /// Gives up a claim, so that the next copy is forwarded without waiting for its end.
    pub(super) async fn release(&self, token: &Token) -> Result<(), Failure> {
        self.run(&command("EVAL", &[RELEASE, "1", &token.key, &token.value])).await
    }

    /// One command. One that failed on a connection of before, which Redis may have closed since, is repeated on a new one.
    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        let attempts = async {
            let (mut connection, is_new) = self.connections.get().await?;
            match command.query_async(&mut connection).await {
                Err(error) if error.is_connection_dropped() || error.is_io_error() => {
                    self.connections.discard();
                    if is_new {
                        return Err(Failure::Command(error));
                    }
                    let (mut connection, _) = self.connections.get().await?;
                    command.query_async(&mut connection).await.map_err(Failure::Command)
                }
                done => done.map_err(Failure::Command),
            }
        };
        timeout(self.limit, attempts).await.unwrap_or_else(|_| {
            // A server that does not answer counts as unreachable.
            self.connections.rest();
            Err(Failure::Late(self.limit))
        })
    }
}

/// An error without the server's text: servers repeat the arguments of a command that they reject, and those of `AUTH` are the password.
fn shown(error: &RedisError) -> String {
    let is_code = |code: &&str| code.len() < 20 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    match error.code().filter(is_code) {
        Some(code) => format!("Redis answered with the error {code}"),
        None if error.is_io_error() => error.to_string(),
        None => error.category().to_owned(),
    }
}

/// `SET` for so many milliseconds.
fn set(key: &str, value: &str, milliseconds: u64, options: &[&str]) -> Cmd {
    let mut set = command("SET", &[key, value, "PX"]);
    set.arg(milliseconds).arg(options);
    set
}

fn command(name: &str, arguments: &[&str]) -> Cmd {
    let mut command = cmd(name);
    command.arg(arguments);
    command
}

fn key(identity: &Identity) -> String {
    use std::fmt::Write as _;

    identity.iter().fold(PREFIX.to_owned(), |mut key, byte| {
        let _ = write!(key, "{byte:02x}");
        key
    })
}
