//! The template of a path that matches no row of the catalogue. It is safe to log, because it contains only words of this program.

use super::{CATALOGUE, Operation};

/// Paths that probes and browsers request when they use the wrong port.
const ELSEWHERE: &[&str] = &[
    "favicon.ico",
    "health",
    "healthz",
    "live",
    "livez",
    "metrics",
    "ping",
    "ready",
    "readyz",
    "robots.txt",
    "status",
];

/// The most segments that a template has; a longer path is cut.
const SEGMENTS: usize = 12;

/// The path with `{}` for each segment that is not a word of Wonder's paths, because it may be a customer's name or a card number.
///
/// ```
/// use wonder_signer::operations::template;
/// assert_eq!(template("/svc/payment/api/v9/openapi/customers/KTR-0042"), "/svc/payment/api/v9/openapi/customers/{}");
/// assert_eq!(template("/healthz"), "/healthz");
/// ```
#[must_use]
pub fn template(path: &str) -> String {
    let mut segments = path.split('/');
    let written: Vec<&str> =
        segments.by_ref().take(SEGMENTS).map(|segment| if is_word(segment) { segment } else { "{}" }).collect();
    let cut = if segments.next().is_some() { "/…" } else { "" };
    written.join("/") + cut
}

fn is_word(segment: &str) -> bool {
    let mut known = CATALOGUE.iter().flat_map(Operation::templates).flat_map(|template| template.split('/'));
    segment.is_empty() || is_version(segment) || ELSEWHERE.contains(&segment) || known.any(|word| word == segment)
}

/// `v1` to `v99`.
fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|number| (1..=2).contains(&number.len()) && number.bytes().all(|digit| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_only_the_words_of_wonders_paths() {
        for (path, expected) in [
            ("/", "/"),
            ("", ""),
            ("*", "{}"),
            ("/svc/payment/api/v1/openapi/orders/4111111111111111", "/svc/payment/api/v1/openapi/orders/{}"),
            ("/svc/payment/api/v1/openapi/customers/Kestrel%20Tea", "/svc/payment/api/v1/openapi/customers/{}"),
            ("/svc/payment/api/v1/openapi/custmers", "/svc/payment/api/v1/openapi/{}"),
            ("/v1/customers", "/v1/customers"),
            ("/svc/../etc/passwd", "/svc/{}/{}/{}"),
            ("/svc/{id}/x", "/svc/{id}/{}"),
            ("/svc//payment/", "/svc//payment/"),
            ("/v100/va/V1/v", "/{}/{}/{}/{}"),
            ("/metrics", "/metrics"),
        ] {
            assert_eq!(template(path), expected);
        }
    }

    #[test]
    fn cuts_a_path_of_many_segments() {
        let long = template(&"/svc".repeat(10_000));
        assert_eq!(long, format!("{}/…", "/svc".repeat(SEGMENTS - 1)));
    }
}
