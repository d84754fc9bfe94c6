//! The closed sets of label values. A label value comes from here, from the catalogue of operations or from the configuration; never
//! from a request.

use crate::contract::Sent;

/// A closed set of label values, in the order of its variants.
pub(super) trait Label: Copy + 'static {
    const ALL: &'static [Self];
    /// The text in a label.
    fn text(self) -> &'static str;
    /// The index in [`Self::ALL`].
    fn place(self) -> usize;
}

macro_rules! label {
    ($(#[$doc:meta])* $vis:vis $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[$of])* $variant),+ }

        impl $name {
            /// The text in labels, headers and log lines.
            #[must_use]
            $vis fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            fn text(self) -> &'static str { self.as_str() }
            fn place(self) -> usize { self as usize }
        }
    };
}

label! {
    /// Which certificates were read again (label `files`).
    pub(crate) Certificates {
        /// Those of `[listen.tls]`.
        Listener = "listen.tls",
        /// `ca_file`, `client_certificate_file` and `client_key_file` of `[upstream]`.
        Upstream = "upstream",
        /// Those of `[webhook.tls]`.
        Webhook = "webhook.tls",
    }
}

label! {
    /// The origin of the response that the caller received (label `origin`).
    pub Responder {
        /// Wonder; the response was forwarded.
        Upstream = "upstream",
        /// This program; always an error.
        Signer = "signer",
    }
}

/// Whether a request that failed may have reached Wonder (label `sent`).
impl Label for Sent {
    const ALL: &'static [Self] = Self::ALL;

    fn text(self) -> &'static str {
        self.as_str()
    }

    fn place(self) -> usize {
        self as usize
    }
}

label! {
    /// A phase of a request to upstream (label `phase`).
    pub Phase {
        /// Name look-up, TCP and TLS of a new connection.
        Connect = "connect",
        /// From the start of the attempt to the response head.
        Head = "head",
        /// From the response head to the last byte forwarded.
        Body = "body",
    }
}

label! {
    /// Why an upstream connection ended (label `reason`).
    pub(crate) Closed {
        /// Evicted by the pool: unused for `upstream.pool_idle`, or for another reason of the pool.
        Idle = "idle",
        /// Older than the limit.
        Age = "age",
        /// An error while reading or writing.
        Error = "error",
        /// Upstream closed it.
        Peer = "peer",
    }
}

label! {
    /// The kinds of headers of the caller that are not forwarded (label `kind`).
    pub Stripped {
        /// `Credential`, `Nonce` or `Signature`: the caller tried to sign.
        Signature = "signature",
        /// `X-Skip-Signature`: the caller tried to skip the signature.
        SkipSignature = "skip_signature",
        /// For this hop only (RFC 9110 §7.6.1).
        HopByHop = "hop_by_hop",
        /// `Forwarded` and `X-Forwarded-*`.
        Forwarded = "forwarded",
        /// `Cookie`.
        Cookie = "cookie",
        /// `Proxy-*`, for a proxy.
        Proxy = "proxy",
        /// `X-Original-URL`, `X-HTTP-Method-Override` and the like: another target or method than the signed one.
        Override = "override",
        /// A name with a character other than letters, digits and `-`: some programs read it as another name.
        LookAlike = "look_alike",
    }
}

label! {
    /// What a webhook claims to be about, in `X-Action` (label `action`).
    pub(crate) WebhookAction {
        /// `invoiced`, `unpaid`.
        OrderCreated = "order.created",
        /// In part or in full.
        OrderPaid = "order.paid",
        /// A payment failed.
        OrderPaymentFailure = "order.payment_failure",
        /// Nothing more is possible.
        OrderVoided = "order.voided",
        /// In part or in full.
        OrderRefunded = "order.refunded",
        /// In part or in full.
        TransactionVoided = "transaction.voided",
        /// None of these, or none at all: other modules of Wonder send webhooks too.
        Other = "other",
    }
}

impl WebhookAction {
    /// The one that `text` names.
    #[must_use]
    pub(crate) fn of(text: &[u8]) -> Self {
        Self::ALL.iter().copied().find(|action| action.as_str().as_bytes() == text).unwrap_or(Self::Other)
    }
}

label! {
    /// The outcome of a webhook (label `outcome`).
    pub(crate) WebhookOutcome {
        /// The application answered 2xx.
        Acknowledged = "acknowledged",
        /// The application had acknowledged an earlier copy.
        Duplicate = "duplicate",
        /// The application answered with a 4xx that is forwarded to Wonder.
        Refused = "refused",
        /// The application answered with a status that is forwarded to Wonder as 503.
        Failed = "failed",
        /// No answer of the application: no connection, or one that broke.
        Unreachable = "unreachable",
        /// No answer of the application in time.
        Timeout = "timeout",
        /// The verification failed.
        Rejected = "rejected",
        /// A limit or a fault of this program.
        Error = "error",
    }
}

label! {
    /// A part of a webhook's time (label `phase`).
    pub(crate) WebhookPhase {
        /// The checks, the signature's included.
        Verify = "verify",
        /// From the forwarded request to the application's answer.
        Forward = "forward",
        /// From the request head to the answer.
        Total = "total",
    }
}

label! {
    /// What recognised a repeat (label `store`).
    pub(crate) DuplicateStore {
        /// The memory of this process.
        Memory = "memory",
        /// The store of all replicas.
        Redis = "redis",
    }
}

label! {
    /// The operation on the shared store (label `operation`).
    pub(crate) StoreOperation {
        /// Before a webhook is forwarded.
        Claim = "claim",
        /// After the application acknowledged it.
        Acknowledge = "acknowledge",
        /// After the application did not.
        Release = "release",
    }
}

label! {
    /// The method of a request that is not in the catalogue (label `method`).
    pub(super) Verb {
        Get = "GET",
        Post = "POST",
        Put = "PUT",
        Delete = "DELETE",
        Patch = "PATCH",
        Head = "HEAD",
        Options = "OPTIONS",
        Other = "OTHER",
    }
}

impl Verb {
    pub(super) fn of(method: &http::Method) -> Self {
        let written = method.as_str();
        Self::ALL.iter().copied().find(|verb| verb.as_str() == written).unwrap_or(Self::Other)
    }
}

label! {
    /// The first digit of a status code (label `code_class`).
    pub(super) CodeClass {
        Success = "2xx",
        Redirection = "3xx",
        ClientError = "4xx",
        ServerError = "5xx",
    }
}

impl CodeClass {
    /// A status that no final response may have counts as `5xx` (RFC 9110 §15).
    pub(super) fn of(status: http::StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}
