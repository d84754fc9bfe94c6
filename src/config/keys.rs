//! The names of all keys, and the one most like a name that is none of them.

/// Every key, in the order of `config/default.toml`; `*` stands for the name of a credential.
pub(super) const KEYS: &[&str] = &[
    "listen.address",
    "listen.socket_mode",
    "listen.allowed_hosts",
    "listen.dangerous_allow_non_loopback",
    "listen.tls.certificate_file",
    "listen.tls.key_file",
    "listen.tls.client_ca_file",
    "listen.tls.callers",
    "admin.address",
    "admin.shutdown",
    "upstream.environment",
    "upstream.origin",
    "upstream.ca_file",
    "upstream.ca_mode",
    "upstream.client_certificate_file",
    "upstream.client_key_file",
    "upstream.min_tls_version",
    "upstream.http_version",
    "upstream.proxy",
    "upstream.pool_idle",
    "upstream.pool_max_idle",
    "upstream.max_connection_age",
    "credentials.*.app_id",
    "credentials.*.app_id_file",
    "credentials.*.private_key_file",
    "credentials.*.private_key",
    "limits.body",
    "limits.requests_in_flight",
    "limits.connections",
    "limits.headers",
    "limits.header_bytes",
    "limits.buffered",
    "timeouts.request_head",
    "timeouts.idle",
    "timeouts.body",
    "timeouts.queue",
    "timeouts.sign",
    "timeouts.connect",
    "timeouts.tls_handshake",
    "timeouts.response_head",
    "timeouts.response_idle",
    "timeouts.request",
    "shutdown.grace",
    "shutdown.drain_delay",
    "log.level",
    "log.format",
    "log.make_traceparent",
    "log.sample_success",
    "log.slow_request",
];

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A key with a value.
    Key,
    /// A table of keys.
    Table,
    /// Nothing.
    Nowhere,
}

/// Says what stands at `path`, given in its parts because a quoted TOML key may hold dots.
pub(super) fn place(path: &[&str]) -> Place {
    let starts_with_path = |key: &&&str| {
        let mut parts = key.split('.');
        path.iter().all(|part| parts.next().is_some_and(|known| known == "*" || known == *part))
    };
    match KEYS.iter().find(starts_with_path) {
        None => Place::Nowhere,
        Some(key) if key.split('.').count() == path.len() => Place::Key,
        Some(_) => Place::Table,
    }
}

/// Whether `name` may name a credential: 1 to 64 of `a-z0-9_-`.
pub(super) fn is_credential_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-')
}

/// The known key or table most like `path` (dotted), when one is like it at all.
pub(super) fn nearest(path: &str) -> Option<String> {
    let credential = path.strip_prefix("credentials.").and_then(|rest| rest.split('.').next());
    let credential = credential.filter(|name| is_credential_name(name)).unwrap_or("default");
    let level = path.split('.').count();
    let known = KEYS.iter().map(|key| key.replace('*', credential));
    let tables = KEYS.iter().filter_map(|key| key.split('.').next()).map(str::to_owned).filter(|_| level == 1);
    let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
    let (distance, best) = known
        .chain(tables)
        .map(|known| (strsim::osa_distance(path, &known), known))
        .min_by_key(|(distance, _)| *distance)?;
    if distance <= (path.len() / 4).max(2) {
        return Some(best);
    }
    // The right name in the wrong place.
    KEYS.iter().map(|key| key.replace('*', credential)).find(|known| last(known) == last(path))
}

/// The environment variable that sets `key`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// What the names of our environment variables start with.
pub(super) const PREFIX: &str = "WONDER_SIGNER_";
