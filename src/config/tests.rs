//! The files that are delivered, and what the other tests are built on.

mod keys;
mod layers;
mod refusals;
mod secrets;
mod unknown;
mod webhook;

use std::{fs, path::Path};

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
    let KeySource::File(file) = &config.credentials["default"].unit.private_key else { panic!("not a file") };
    assert_eq!(file, Path::new("/var/run/secrets/wonder/private_key.pem"));
    assert_eq!(config.upstream.environment, Environment::Staging);
}
