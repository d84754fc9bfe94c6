//! The standard `OTEL_*` variables that are supported. Pure: the environment is passed in.
//!
//! No error repeats a value, because headers contain tokens.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::super::{TraceId, request::Share};
use crate::config::percent;

/// The settings of the export.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(super) endpoint: Uri,
    /// Marked sensitive.
    pub(super) headers: HeaderMap,
    pub(super) certificate: Option<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) resource: BTreeMap<String, String>,
    pub(super) sampler: Sampler,
    pub(super) delay: Duration,
    pub(super) queue: usize,
    pub(super) batch: usize,
}

/// An invalid variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {reason}")]
pub(crate) struct SettingsError {
    /// The name of the variable.
    pub(crate) variable: &'static str,
    /// The reason, without the value.
    pub(crate) reason: String,
}

impl SettingsError {
    pub(super) fn new(variable: &'static str, reason: impl Into<String>) -> Self {
        Self { variable, reason: reason.into() }
    }
}

impl Settings {
    /// The settings in the environment; `None` without an endpoint.
    ///
    /// # Errors
    /// The first invalid variable.
    pub(crate) fn read(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Option<Self>, SettingsError> {
        let variables = Variables::new(environment);
        let disabled = variables.text("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        match variables.text("OTEL_TRACES_EXPORTER") {
            _ if disabled => return Ok(None),
            Some("none") => return Ok(None),
            None | Some("otlp") => {}
            Some(_) => return Err(SettingsError::new("OTEL_TRACES_EXPORTER", "must be otlp or none")),
        }
        let Some(endpoint) = variables.endpoint()? else { return Ok(None) };
        if let Some((name, protocol)) =
            variables.first(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
            && !matches!(protocol, "http/json" | "http/protobuf")
        {
            // A collector that accepts protobuf over HTTP accepts JSON too, so the default of other programs is no error.
            let reason = "only http/json is spoken; give the collector's HTTP endpoint (port 4318) and http/json";
            return Err(SettingsError::new(name, reason));
        }
        let milliseconds = |names: &[&'static str], default| {
            variables.number(names, default, 1..=3_600_000).map(Duration::from_millis)
        };
        let count = |name, default| {
            variables.number(&[name], default, 1..=65_536).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
        };
        let timeout = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
        let certificate = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
        Ok(Some(Self {
            endpoint,
            headers: variables.headers()?,
            certificate: variables.first(certificate).map(|(_, path)| path.into()),
            timeout: milliseconds(&timeout, 10_000)?,
            resource: variables.resource()?,
            sampler: variables.sampler()?,
            delay: milliseconds(&["OTEL_BSP_SCHEDULE_DELAY"], 5_000)?,
            queue: count("OTEL_BSP_MAX_QUEUE_SIZE", 2_048)?,
            batch: count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?,
        }))
    }
}

/// Decides which traces are recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampler {
    /// Whether a caller's decision applies.
    follows_parent: bool,
    /// The share of the traces without a decision.
    share: Share,
}

impl Sampler {
    pub(super) fn wants(self, trace: TraceId, parent: Option<bool>) -> bool {
        match parent {
            Some(decision) if self.follows_parent => decision,
            // The last half of the id decides, as in every SDK, so that all programs decide in the same way.
            _ => {
                let last = u128::from_be_bytes(trace.0) & u128::from(u64::MAX);
                self.share.takes(u64::try_from(last).unwrap_or(u64::MAX))
            }
        }
    }
}

/// The `OTEL_*` variables that are set. An empty one counts as unset, and so does one that is not UTF-8.
struct Variables(BTreeMap<String, String>);

impl Variables {
    fn new(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let ours = environment
            .into_iter()
            .filter_map(text)
            .filter(|(name, value)| name.starts_with("OTEL_") && !value.trim().is_empty());
        Self(ours.collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim())
    }

    fn first<const N: usize>(&self, names: [&'static str; N]) -> Option<(&'static str, &str)> {
        names.into_iter().find_map(|name| Some((name, self.text(name)?)))
    }

    fn number(
        &self,
        names: &[&'static str],
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, SettingsError> {
        let Some((name, text)) = names.iter().find_map(|name| Some((*name, self.text(name)?))) else {
            return Ok(default);
        };
        text.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
            SettingsError::new(name, format!("must be a whole number from {} to {}", bounds.start(), bounds.end()))
        })
    }

    /// The endpoint for traces as it is, or the general endpoint with the path for traces.
    fn endpoint(&self) -> Result<Option<Uri>, SettingsError> {
        const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        const GENERAL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let Some((name, text)) = self.first([TRACES, GENERAL]) else { return Ok(None) };
        let text = if name == TRACES { text.to_owned() } else { format!("{}/v1/traces", text.trim_end_matches('/')) };
        let endpoint: Option<Uri> = text.parse().ok().filter(|endpoint: &Uri| {
            matches!(endpoint.scheme_str(), Some("http" | "https"))
                && endpoint.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        });
        endpoint.map(Some).ok_or_else(|| SettingsError::new(name, "must be a URL such as http://collector:4318"))
    }

    fn headers(&self) -> Result<HeaderMap, SettingsError> {
        let mut headers = HeaderMap::new();
        let Some((variable, text)) = self.first(["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"])
        else {
            return Ok(headers);
        };
        for (name, value) in pairs(variable, text)? {
            let unusable = || SettingsError::new(variable, "must be header=value, separated by commas");
            let name: HeaderName = name.parse().map_err(|_| unusable())?;
            let mut value = HeaderValue::try_from(value).map_err(|_| unusable())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        Ok(headers)
    }

    fn resource(&self) -> Result<BTreeMap<String, String>, SettingsError> {
        const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let own = [("service.name", "wonder-signer"), ("service.version", env!("CARGO_PKG_VERSION"))];
        let mut resource = BTreeMap::from(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        resource.extend(pairs(ATTRIBUTES, self.text(ATTRIBUTES).unwrap_or_default())?);
        resource.extend(self.text("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name.to_owned())));
        Ok(resource)
    }

    fn sampler(&self) -> Result<Sampler, SettingsError> {
        const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
        const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
        let word = self.text(SAMPLER).unwrap_or("parentbased_always_on");
        let (follows_parent, rule) = match word.strip_prefix("parentbased_") {
            Some(rule) => (true, rule),
            None => (false, word),
        };
        let share = match rule {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => {
                let share: Option<f64> = self.text(ARGUMENT).unwrap_or("1").parse().ok();
                let share = share.filter(|share| (0.0..=1.0).contains(share));
                share.ok_or_else(|| SettingsError::new(ARGUMENT, "must be a number from 0 to 1"))?
            }
            _ => {
                let reason = "must be always_on, always_off or traceidratio, or one of these after parentbased_";
                return Err(SettingsError::new(SAMPLER, reason));
            }
        };
        Ok(Sampler { follows_parent, share: Share::new(share) })
    }
}

/// `name=value,name=value`, the values percent-encoded.
fn pairs(variable: &'static str, text: &str) -> Result<Vec<(String, String)>, SettingsError> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim().to_owned(), String::from_utf8(percent::decoded(value.trim())?.to_vec()).ok()?))
    };
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(pair).collect::<Option<_>>().ok_or_else(|| {
        SettingsError::new(variable, "must be name=value, separated by commas, the values percent-encoded")
    })
}
