//! The sections of the configuration, one row per key. A new key is written here and in `config/default.toml`, which is where
//! the defaults come from, and nowhere else. A value of these types has passed every check.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use super::{
    DAY, GIB, HOUR, KIB, MIB, MILLISECOND, MINUTE,
    address::ListenAddress,
    certificate::{CertificateAndKey, CertificateFiles},
    field::{Optional, section},
    listener,
    origin::Origin,
    proxy::Proxy,
    required_header::RequiredHeader,
    shapes, upstream,
    values::{Words, address, count, duration, hosts, listeners, mode, path, share, size, switch, text, word},
};
use crate::policy::Name;

section! {
    /// `[listen]`: the signing listener.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub Listen {
        /// Addresses that accept plain requests, at least one, default `127.0.0.1:8080`.
        addresses: Vec<ListenAddress> = "listen.address", listeners();
        /// Permission bits of a Unix socket's file, default `0o600`: the same user only.
        socket_mode: u32 = "listen.socket_mode", mode();
        /// Host names accepted in `Host` in addition to the loopback names, lower case, without port, default none. A web page can
        /// make its own name resolve to loopback, but it cannot send another `Host`.
        allowed_hosts: Vec<String> = "listen.allowed_hosts", hosts();
        /// Whether requests from web pages are rejected, default `true`, because any open page can send requests to loopback.
        browser_guard: bool = "listen.browser_guard", switch();
        /// A header that every request must have, default none.
        required_header: Option<RequiredHeader> = "listen.required_header", Optional(text(shapes::header()));
        /// Whether `addresses` may be other than loopback, default `false`: any program that reaches it can have requests signed.
        dangerous_allow_non_loopback: bool = "listen.dangerous_allow_non_loopback", switch();
        /// Whether credentials may be for several environments, default `false`: one sidecar then signs for staging and for real money.
        mixed_environments: bool = "listen.mixed_environments", switch();
        /// TLS on the TCP addresses, default none: plain.
        tls: Option<ListenTls> = "listen.tls", listener::TlsFiles;
    }
}

/// `[listen.tls]`: TLS with required client certificates on the TCP addresses of the signing listener. All files are PEM, and are
/// read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenTls {
    /// The listener's certificate and its chain.
    pub(crate) certificate_file: PathBuf,
    /// Its private key.
    pub(crate) key_file: PathBuf,
    /// The authorities that issue callers' certificates.
    pub(crate) client_ca_file: PathBuf,
    /// The callers that are admitted, by the name in their certificate, default all whose certificate has a name.
    pub(crate) callers: Vec<Name>,
}

section! {
    /// `[admin]`: the listener for probes and metrics.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) Admin {
        /// Address, default `0.0.0.0:9090`. It shows no secret and changes no state, and probes connect from outside the pod.
        address: SocketAddr = "admin.address", address();
        /// Whether `POST /shutdown` from loopback ends the program, default `false`.
        shutdown: bool = "admin.shutdown", switch();
        /// Whether `POST /rotate` from loopback switches a credential to its next unit, default `false`.
        rotate: bool = "admin.rotate", switch();
    }
}

section! {
    /// `[upstream]`: the origin of all requests.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub Upstream {
        /// The Wonder environment, default staging, because real money needs an explicit setting.
        environment: Environment = "upstream.environment", word();
        /// Fixed by `environment`, or the one given with `custom`.
        origin: Origin = "upstream.origin", upstream::OfEnvironment;
        /// PEM file with root certificates, default none: the built-in roots are enough for Wonder itself.
        ca_file: Option<PathBuf> = "upstream.ca_file", Optional(path());
        /// Whether `ca_file` is added to the built-in roots or replaces them, default add.
        ca_mode: CaMode = "upstream.ca_mode", word();
        /// The client certificate for an origin that requests one, default none.
        client_certificate: Option<CertificateFiles> = "upstream", CertificateAndKey {
            certificate: "upstream.client_certificate_file",
            key: "upstream.client_key_file",
        };
        /// The oldest accepted TLS version, default 1.2.
        min_tls_version: TlsVersion = "upstream.min_tls_version", word();
        /// The HTTP version, default http1.
        http_version: HttpVersion = "upstream.http_version", word();
        /// The egress proxy, from `proxy` or `HTTPS_PROXY`, default none. Plain http origins are called without it.
        proxy: Option<Proxy> = "upstream.proxy", upstream::WayOut;
        /// How long an idle connection is kept, default 10 s: shorter than the idle time-outs of load balancers, so that a
        /// request seldom meets a connection that is being closed.
        pool_idle: Duration = "upstream.pool_idle", duration(MILLISECOND..=HOUR);
        /// Idle connections kept, default 256: as many as requests in flight, so that a burst does not begin with handshakes; 0
        /// keeps none.
        pool_max_idle: usize = "upstream.pool_max_idle", count(0..=1024);
        /// Age past which the next answer is a connection's last, default 5 min, so that DNS changes are followed.
        max_connection_age: Duration = "upstream.max_connection_age", duration(MILLISECOND..=DAY);
    }
}

section! {
    /// `[limits]`: sizes and numbers above which requests are rejected, so that memory stays bounded.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub Limits {
        /// Bytes of a request body, default 1 MiB. The body is held in memory to sign it.
        body: usize = "limits.body", size(1..=64 * MIB);
        /// Bytes of a webhook's body, default 1 MiB: it is held in memory to be verified.
        webhook_body: usize = "limits.webhook_body", size(1..=64 * MIB);
        /// Requests in flight at once, default 256; others wait up to `timeouts.queue`.
        requests_in_flight: usize = "limits.requests_in_flight", count(1..=65_536);
        /// Downstream connections at once, default 1024.
        connections: usize = "limits.connections", count(1..=65_536);
        /// Header lines of a request, default 100.
        headers: usize = "limits.headers", count(10..=1000);
        /// Bytes of a request's head, default 64 KiB. At least 8 KiB, which is hyper's minimum.
        header_bytes: usize = "limits.header_bytes", size(8 * KIB..=MIB);
        /// Bytes of request bodies and held answers in memory at once, default 64 MiB. A request that would exceed it is
        /// rejected, an answer is streamed. Bounds memory where `body` times `requests_in_flight` would not.
        buffered: usize = "limits.buffered", size(MIB..=4 * GIB);
        /// Largest body of an answer that is read whole before its head is forwarded, default 64 KiB: Wonder's answers are small
        /// JSON. 0 streams every answer.
        response_held: usize = "limits.response_held", size(0..=16 * MIB);
        /// Header lines of an answer from the origin, default 256.
        response_headers: usize = "limits.response_headers", count(10..=1000);
        /// Bytes of an answer's status line and headers, default 64 KiB. At least 8 KiB, as with requests.
        response_header_bytes: usize = "limits.response_header_bytes", size(8 * KIB..=MIB);
    }
}

section! {
    /// `[timeouts]`: the longest time of each step.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub Timeouts {
        /// From accept to the first byte, and from a request head's first byte to its last, default 10 s.
        request_head: Duration = "timeouts.request_head", duration(MILLISECOND..=HOUR);
        /// From the end of an answer to the next request on the same connection, default 10 min. It is longer than clients keep
        /// connections, because a client whose connection closes under a request cannot know whether the request was sent. It
        /// is also how long a caller may read nothing of an answer before its connection ends.
        idle: Duration = "timeouts.idle", duration(MILLISECOND..=DAY);
        /// From request head to whole request body, default 10 s.
        body: Duration = "timeouts.body", duration(MILLISECOND..=HOUR);
        /// Wait for a slot among `limits.requests_in_flight`, default 1 s; 0 rejects at once. A tenth of it while the
        /// queue has not been empty for this long.
        queue: Duration = "timeouts.queue", duration(Duration::ZERO..=HOUR);
        /// Wait for a signing permit, default 1 s; a tenth of it while the queue has not been empty for this long.
        sign: Duration = "timeouts.sign", duration(MILLISECOND..=HOUR);
        /// Name look-up and TCP connection to the origin, default 5 s.
        connect: Duration = "timeouts.connect", duration(MILLISECOND..=HOUR);
        /// TLS handshake with the origin, default 5 s.
        tls_handshake: Duration = "timeouts.tls_handshake", duration(MILLISECOND..=HOUR);
        /// From request sent to response head, default 25 s: Wonder's own clients give up after 30 s and would miss the 504.
        response_head: Duration = "timeouts.response_head", duration(MILLISECOND..=HOUR);
        /// Between two pieces of a response body, default 30 s.
        response_idle: Duration = "timeouts.response_idle", duration(MILLISECOND..=HOUR);
        /// From request head to the response head as it is forwarded, default 28 s; a caller may shorten it for one request.
        request: Duration = "timeouts.request", duration(MILLISECOND..=HOUR);
    }
}

section! {
    /// `[shutdown]`: the drain between SIGTERM and exit.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) Shutdown {
        /// How long connections are still accepted after readiness was withdrawn, default 5 s.
        drain_delay: Duration = "shutdown.drain_delay", duration(Duration::ZERO..=10 * MINUTE);
        /// How long requests in flight may still take after the delay, default 20 s: with it less than the 30 s of a pod.
        grace: Duration = "shutdown.grace", duration(Duration::ZERO..=HOUR);
    }
}

section! {
    /// `[log]`: the log on standard error.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub(crate) Log {
        /// The least important level written, default info.
        level: LogLevel = "log.level", word();
        /// The shape of a line, default auto.
        format: LogFormat = "log.format", word();
        /// Whether a request without a valid `traceparent` (W3C Trace Context) gets a generated one, default `false`: then only the
        /// caller's own is forwarded.
        make_traceparent: bool = "log.make_traceparent", switch();
        /// The share of successful requests whose line is written, 0 to 1, default 1. All other requests are always logged.
        sample_success: f64 = "log.sample_success", share();
        /// From this duration on a request is slow, and its line is a warning, default 10 s; 0 for never.
        slow_request: Duration = "log.slow_request", duration(Duration::ZERO..=HOUR);
    }
}

section! {
    /// `[process]`: access of other programs to this process.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) Process {
        /// Whether they may read its memory (`perf`, `gdb`, core files), default `false`: keys are in it.
        dumpable: bool = "process.dumpable", switch();
    }
}

/// Declares an enum of configuration words with the conversions from and to them.
macro_rules! words {
    ($(#[$about:meta])* $vis:vis $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name {
            $($(#[$doc])* #[doc = concat!("Written `", $word, "`.")] $variant),+
        }

        impl $name {
            /// The word as in the configuration.
            #[must_use]
            $vis fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Words for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord(Self::WORDS)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// The Wonder environment.
    pub Environment {
        /// Wonder's test system.
        Staging = "staging",
        /// Real money.
        Production = "production",
        /// A configured origin, such as the simulator.
        Custom = "custom",
    }
}

words! {
    /// What switches a credential to its next unit.
    pub(crate) Rotate {
        /// `wonder-signer rotate` alone.
        Manual = "manual",
        /// Wonder's acceptance of an echo that is signed with it.
        WhenProven = "when_proven",
    }
}

words! {
    /// The effect of `upstream.ca_file` on the built-in root certificates.
    pub CaMode {
        /// The file's certificates are trusted in addition to the built-in ones.
        Add = "add",
        /// The file's certificates alone are trusted.
        Replace = "replace",
    }
}

words! {
    /// A version of TLS.
    pub TlsVersion {
        /// RFC 5246.
        Tls12 = "1.2",
        /// RFC 8446.
        Tls13 = "1.3",
    }
}

words! {
    /// The HTTP version towards upstream.
    pub HttpVersion {
        /// Chosen by ALPN in the TLS handshake, HTTP/2 preferred; HTTP/1.1 without TLS.
        Auto = "auto",
        /// HTTP/1.1 only.
        Http1 = "http1",
        /// HTTP/2 only; without TLS by prior knowledge.
        Http2 = "http2",
    }
}

words! {
    /// The least important level that is logged.
    pub LogLevel {
        /// Nothing.
        Off = "off",
        /// A person is needed.
        Error = "error",
        /// The program recovered from a fault.
        Warn = "warn",
        /// One line per request.
        Info = "info",
        /// For finding faults.
        Debug = "debug",
        /// Everything; still without secrets.
        Trace = "trace",
    }
}

impl LogLevel {
    /// From the fewest lines to the most.
    pub(crate) const ALL: [Self; 6] = [Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];
}

words! {
    /// The shape of a log line.
    pub(crate) LogFormat {
        /// Text on a terminal, JSON elsewhere.
        Auto = "auto",
        /// One JSON object per line.
        Json = "json",
        /// For people.
        Text = "text",
    }
}

/// The text is none of the possible words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownWord(&'static [&'static str]);

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be one of {}", self.0.join(", "))
    }
}

impl std::error::Error for UnknownWord {}
