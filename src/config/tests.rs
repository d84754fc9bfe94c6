//! The defaults, and what the other tests stand on.

mod layers;
mod refusals;
mod secrets;
mod webhook;

use std::{fs, path::Path, time::Duration};

use super::*;

const APP_ID: &str = "0a1b2c3d-0000-4000-8000-00000000000f";

/// Layers of one test; files live as long as it does.
#[derive(Default)]
struct Given {
    directory: Option<tempfile::TempDir>,
    files: Vec<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    flags: Flags,
}

impl Given {
    fn new() -> Self {
        Self::default()
    }

    fn file(mut self, toml: &str) -> Self {
        let directory = self.directory.get_or_insert_with(|| tempfile::tempdir().unwrap());
        let path = directory.path().join(format!("{}.toml", self.files.len()));
        fs::write(&path, toml).unwrap();
        self.files.push(path);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.files, self.environment.clone(), &self.flags)
    }

    fn config(&self) -> Config {
        self.load().unwrap()
    }

    /// The error's text, with `FILE` for the first file's path.
    fn error(&self) -> String {
        let text = self.load().unwrap_err().to_string();
        assert!(!text.contains('\n'), "more than a line: {text}");
        match self.files.first() {
            Some(path) => text.replace(&path.display().to_string(), "FILE"),
            None => text,
        }
    }
}

fn error_of_file(toml: &str) -> String {
    Given::new().file(toml).error()
}

fn error_of_variable(name: &str, value: &str) -> String {
    Given::new().variable(name, value).error()
}

fn explained(config: &Config) -> String {
    let mut out = Vec::new();
    explain(config, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let config = Given::new().config();
    let seconds = Duration::from_secs;
    assert_eq!(
        config.listen,
        Listen {
            addresses: vec!["127.0.0.1:8080".parse().unwrap()],
            socket_mode: 0o600,
            allowed_hosts: vec![],
            browser_guard: true,
            required_header: None,
            dangerous_allow_non_loopback: false,
            tls: None,
        }
    );
    assert_eq!(config.admin, Admin { address: "0.0.0.0:9090".parse().unwrap(), shutdown: false });
    assert_eq!(
        config.upstream,
        Upstream {
            environment: Environment::Staging,
            origin: "https://gateway-stg.wonder.today".parse().unwrap(),
            ca_file: None,
            ca_mode: CaMode::Add,
            client_certificate: None,
            min_tls_version: TlsVersion::Tls12,
            http_version: HttpVersion::Http1,
            proxy: None,
            pool_idle: seconds(10),
            pool_max_idle: 256,
            max_connection_age: seconds(300),
        }
    );
    assert!(config.credentials.is_empty());
    assert_eq!(
        config.webhook,
        Webhook {
            address: None,
            socket_mode: 0o600,
            forward_to: None,
            dangerous_allow_non_loopback_forward: false,
            path_prefixes: vec![],
            original_target: None,
            tolerance: seconds(24 * 3600 + 30 * 60),
            forward_timeout: seconds(20),
            remember: 100_000,
            source_addresses: vec![],
            trusted_proxies: vec![],
            tls: None,
            redis: None,
        }
    );
    assert_eq!(
        config.limits,
        Limits {
            body: 1_048_576,
            webhook_body: 1_048_576,
            requests_in_flight: 256,
            connections: 1024,
            headers: 100,
            header_bytes: 65_536,
            buffered: 67_108_864,
            response_held: 65_536,
            response_headers: 256,
            response_header_bytes: 65_536,
        }
    );
    assert_eq!(
        config.timeouts,
        Timeouts {
            request_head: seconds(10),
            idle: seconds(600),
            body: seconds(10),
            queue: seconds(1),
            sign: seconds(1),
            connect: seconds(5),
            tls_handshake: seconds(5),
            response_head: seconds(25),
            response_idle: seconds(30),
            request: seconds(28),
        }
    );
    assert_eq!(config.shutdown, Shutdown { grace: seconds(20), drain_delay: seconds(5) });
    assert_eq!(config.process, Process { dumpable: false });
    assert_eq!(
        config.log,
        Log {
            level: LogLevel::Info,
            format: LogFormat::Auto,
            make_traceparent: false,
            sample_success: 1.0,
            slow_request: seconds(10),
        }
    );
}

#[test]
fn every_key_stands_in_the_defaults_file_under_a_comment_of_its_own() {
    let text = include_str!("../../config/default.toml");
    let mut table = String::new();
    let mut documented = Vec::new();
    let mut above = "";
    for line in text.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name.replace("credentials.default", "credentials.*");
        } else if let Some((key, _)) = bare.split_once(" = ").filter(|(key, _)| !key.contains([' ', '`'])) {
            let comment = above.strip_prefix("# ").unwrap_or_default();
            assert!(comment.len() > 10 && !comment.contains(" = "), "{table}.{key} has no comment above it");
            documented.push(format!("{table}.{key}"));
        }
        above = line;
    }
    assert_eq!(documented, keys::KEYS.iter().map(|key| key.name).collect::<Vec<_>>());
}

#[test]
fn every_key_of_the_defaults_file_is_shown() {
    let is_row = |line: &str| {
        (line.starts_with('[') && line.ends_with(']'))
            || line.split_once(" = ").is_some_and(|(key, _)| !key.contains([' ', '`']))
    };
    // One of two keys that exclude one another: an AppID shows as such, and an inline key has no place in a file.
    let other = ["app_id_file", "private_key", "webhook_public_key", "original_target_prefix"];
    let is_shown = |line: &str| other.iter().all(|key| !line.starts_with(&format!("{key} =")));
    let rows = include_str!("../../config/default.toml")
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .filter(|line| is_row(line) && is_shown(line))
        .map(|line| line.replace("\"staging\"", "\"custom\""));
    let text = explained(&Given::new().file(&rows.collect::<Vec<_>>().join("\n")).config());
    let shown: Vec<&str> = text.lines().map(|line| line.split_once(" = ").unwrap().0).collect();
    let known: Vec<String> = keys::with_credential("default")
        .filter(|key| other.iter().all(|other| !key.ends_with(&format!(".{other}"))))
        .collect();
    assert_eq!(shown, known);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one list of all keys, in and out")]
fn every_key_is_read() {
    let config = Given::new()
        .file(&format!(
            r#"
            listen = {{ address = "[::1]:1", socket_mode = "0660", allowed_hosts = ["Signer.Internal", "[::1]"], browser_guard = false, required_header = "X-Shop-Request:  yes ", dangerous_allow_non_loopback = true, tls = {{ certificate_file = "/tls.crt", key_file = "/tls.key", client_ca_file = "/ca.crt", callers = ["shop", "refunds"] }} }}
            admin = {{ address = "127.0.0.1:2", shutdown = true }}
            [upstream]
            environment = "custom"
            origin = "https://127.0.0.1:4443"
            ca_file = "/ca.pem"
            ca_mode = "replace"
            client_certificate_file = "/client.pem"
            client_key_file = "/client.key"
            min_tls_version = "1.3"
            http_version = "http2"
            proxy = "http://proxy.internal:3128"
            pool_idle = "2s"
            pool_max_idle = 3
            max_connection_age = "4m"
            [credentials.default]
            app_id = "{APP_ID}"
            private_key_file = "/key.pem"
            webhook_public_key_file = "/webhook.pem"
            webhook_forward_to = "http://shop:3000"
            [webhook]
            address = "0.0.0.0:3"
            socket_mode = "0666"
            forward_to = "unix:/app.sock"
            dangerous_allow_non_loopback_forward = true
            path_prefixes = ["/hooks/", "/"]
            original_target_header = "X-Original-URI"
            tolerance = "1h"
            forward_timeout = "15s"
            remember = 16
            source_addresses = ["119.8.39.23/32", "10.0.0.0/8"]
            trusted_proxies = ["::1"]
            tls = {{ certificate_file = "/hook.crt", key_file = "/hook.key" }}
            redis = {{ url = "rediss://signer@redis.internal/2", password_file = "/redis", ca_file = "/redis.pem", timeout = "17ms" }}
            [limits]
            body = "5B"
            webhook_body = "6B"
            requests_in_flight = 6
            connections = 7
            headers = 18
            header_bytes = "9KiB"
            buffered = "10MiB"
            response_held = "0B"
            response_headers = 19
            response_header_bytes = "11KiB"
            [timeouts]
            idle = "11s"
            request_head = "1s"
            body = "2s"
            queue = "3s"
            sign = "13ms"
            connect = "4s"
            tls_handshake = "14s"
            response_head = "6s"
            response_idle = "7s"
            request = "8s 500ms"
            [shutdown]
            grace = "9s"
            drain_delay = "10s"
            [log]
            level = "trace"
            format = "json"
            make_traceparent = true
            sample_success = 0.25
            slow_request = "12s"
            [process]
            dumpable = true
            "#
        ))
        .config();
    let text = explained(&config);
    let path = text.lines().next().unwrap().split("  # file ").nth(1).unwrap();
    assert_eq!(
        text.replace(&format!("  # file {path}"), ""),
        format!(
            r#"listen.address = "[::1]:1"
listen.socket_mode = "0660"
listen.allowed_hosts = ["signer.internal","[::1]"]
listen.browser_guard = false
listen.required_header = "x-shop-request: yes"
listen.dangerous_allow_non_loopback = true
listen.tls.certificate_file = "/tls.crt"
listen.tls.key_file = "/tls.key"
listen.tls.client_ca_file = "/ca.crt"
listen.tls.callers = ["shop","refunds"]
admin.address = "127.0.0.1:2"
admin.shutdown = true
upstream.environment = "custom"
upstream.origin = "https://127.0.0.1:4443"
upstream.ca_file = "/ca.pem"
upstream.ca_mode = "replace"
upstream.client_certificate_file = "/client.pem"
upstream.client_key_file = "/client.key"
upstream.min_tls_version = "1.3"
upstream.http_version = "http2"
upstream.proxy = "http://proxy.internal:3128"
upstream.pool_idle = "2s"
upstream.pool_max_idle = 3
upstream.max_connection_age = "4m"
credentials.default.app_id = "{APP_ID}"
credentials.default.private_key_file = "/key.pem"
credentials.default.webhook_public_key_file = "/webhook.pem"
credentials.default.webhook_forward_to = "http://shop:3000"
webhook.address = "0.0.0.0:3"
webhook.socket_mode = "0666"
webhook.forward_to = "unix:/app.sock"
webhook.dangerous_allow_non_loopback_forward = true
webhook.path_prefixes = ["/hooks","/"]
webhook.original_target_header = "x-original-uri"
webhook.tolerance = "1h"
webhook.forward_timeout = "15s"
webhook.remember = 16
webhook.source_addresses = ["119.8.39.23","10.0.0.0/8"]
webhook.trusted_proxies = ["::1"]
webhook.tls.certificate_file = "/hook.crt"
webhook.tls.key_file = "/hook.key"
webhook.redis.url = "rediss://signer@redis.internal:6379/2"
webhook.redis.password_file = "/redis"
webhook.redis.ca_file = "/redis.pem"
webhook.redis.timeout = "17ms"
limits.body = "5B"
limits.webhook_body = "6B"
limits.requests_in_flight = 6
limits.connections = 7
limits.headers = 18
limits.header_bytes = "9KiB"
limits.buffered = "10MiB"
limits.response_held = "0B"
limits.response_headers = 19
limits.response_header_bytes = "11KiB"
timeouts.request_head = "1s"
timeouts.idle = "11s"
timeouts.body = "2s"
timeouts.queue = "3s"
timeouts.sign = "13ms"
timeouts.connect = "4s"
timeouts.tls_handshake = "14s"
timeouts.response_head = "6s"
timeouts.response_idle = "7s"
timeouts.request = "8s 500ms"
shutdown.drain_delay = "10s"
shutdown.grace = "9s"
log.level = "trace"
log.format = "json"
log.make_traceparent = true
log.sample_success = 0.25
log.slow_request = "12s"
process.dumpable = true
"#
        )
    );
    // What is printed is itself a configuration.
    let again = Given::new().file(&text).config();
    assert_eq!(again.to_masked_json(), config.to_masked_json());
    // Without any one of its lines it is another one, of which the configuration's hash is made. Some keys need one another.
    let lines: Vec<&str> = text.lines().collect();
    let mut without = 0;
    for left_out in 0..lines.len() {
        let rest = [&lines[..left_out], &lines[left_out + 1..]].concat().join("\n");
        if let Ok(other) = Given::new().file(&rest).load() {
            assert_ne!(other.to_masked_json(), config.to_masked_json(), "{}", lines[left_out]);
            without += 1;
        }
    }
    assert!(without > lines.len() / 2, "{without}");
}

#[test]
fn the_gateways_file_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes/gateway/gateway.toml");
    // The Secret's file is not here.
    let app_id = format!("app_id = \"{APP_ID}\"");
    let text = fs::read_to_string(path).unwrap();
    let text = text.replace("app_id_file = \"/var/run/secrets/wonder-signer/app_id\"", &app_id);
    let config = Given::new().file(&text).config();
    assert_eq!(config.listen.tls.unwrap().callers, ["example-app".parse().unwrap()]);
    assert!(config.listen.allowed_hosts.contains(&"wonder-gateway.wonder-gateway.svc".to_owned()));
}

#[test]
fn the_deployment_file_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sidecar.toml");
    let config = Config::load(&[path], [], &Flags::default()).unwrap();
    let KeySource::File(file) = &config.credentials["default"].private_key else { panic!("not a file") };
    assert_eq!(file, Path::new("/var/run/secrets/wonder/private_key.pem"));
    assert_eq!(config.upstream.environment, Environment::Staging);
}
