//! The values that the command line sets.

use std::path::PathBuf;

use super::ConfigError;

/// The values that the command line sets; the last layer.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--app-id`: `credentials.default.app_id`.
    pub(crate) app_id: Option<String>,
    /// `--private-key-file`: `credentials.default.private_key_file`.
    pub(crate) private_key_file: Option<PathBuf>,
    /// `--environment`: `upstream.environment`.
    pub(crate) environment: Option<String>,
    /// `--origin`: `upstream.origin`.
    pub(crate) origin: Option<String>,
    /// `--ca-file`: `upstream.ca_file`.
    pub(crate) ca_file: Option<PathBuf>,
    /// `--listen`: `listen.address`.
    pub(crate) listen: Option<String>,
    /// `--admin`: `admin.address`.
    pub(crate) admin: Option<String>,
    /// `--allowed-host`, several times: `listen.allowed_hosts`.
    pub(crate) allowed_hosts: Vec<String>,
    /// `--allow-non-loopback`: `listen.dangerous_allow_non_loopback`.
    pub(crate) allow_non_loopback: bool,
}

impl Flags {
    /// Flag, key and value of those that were given.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, &'static str, Result<String, ConfigError>)> {
        let text = |text: &Option<String>| text.clone().map(Ok);
        let path = |flag: &'static str, path: &Option<PathBuf>| {
            let text = path.as_ref()?.to_str().map(str::to_owned);
            let reason = "is not UTF-8".to_owned();
            Some(text.ok_or(ConfigError::Layer { layer: format!("flag {flag}"), reason }))
        };
        [
            ("--app-id", "credentials.default.app_id", text(&self.app_id)),
            (
                "--private-key-file",
                "credentials.default.private_key_file",
                path("--private-key-file", &self.private_key_file),
            ),
            ("--environment", "upstream.environment", text(&self.environment)),
            ("--origin", "upstream.origin", text(&self.origin)),
            ("--ca-file", "upstream.ca_file", path("--ca-file", &self.ca_file)),
            ("--listen", "listen.address", text(&self.listen)),
            ("--admin", "admin.address", text(&self.admin)),
            ("--allowed-host", "listen.allowed_hosts", Some(Ok(self.allowed_hosts.join(",")))),
            (
                "--allow-non-loopback",
                "listen.dangerous_allow_non_loopback",
                self.allow_non_loopback.then(|| Ok(true.to_string())),
            ),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| Some((flag, key, value?)))
    }
}
