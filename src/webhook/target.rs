//! The target that Wonder signed, restored if a reverse proxy rewrote it. The restored target is verified, checked against the path
//! prefixes, and forwarded, so a replay cannot be verified with one path and delivered to another. Pure.

use http::{HeaderMap, uri::PathAndQuery};

use super::rejection::Rejection;
use crate::config::{OriginalTarget, PathPrefix};

/// The target that Wonder signed; `received` is the target of the request line.
pub(super) fn restored(
    received: &PathAndQuery,
    headers: &HeaderMap,
    rule: Option<&OriginalTarget>,
) -> Result<PathAndQuery, Rejection> {
    match rule {
        None => Ok(received.clone()),
        Some(OriginalTarget::Prefix(prefix)) => {
            parse(&format!("{prefix}{received}")).ok_or(Rejection::OriginalTargetInvalid)
        }
        Some(OriginalTarget::Header(name)) => {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (None, _) => Err(Rejection::OriginalTargetMissing),
                (Some(_), Some(_)) => Err(Rejection::OriginalTargetRepeated),
                (Some(value), None) => value.to_str().ok().and_then(parse).ok_or(Rejection::OriginalTargetInvalid),
            }
        }
    }
}

/// A target in origin form (RFC 9112 §3.2.1), taken byte for byte.
fn parse(text: &str) -> Option<PathAndQuery> {
    let target: PathAndQuery = Some(text).filter(|text| text.starts_with('/'))?.parse().ok()?;
    // The parser drops a fragment.
    (target.as_str() == text).then_some(target)
}

/// Rejects a target that is under none of `prefixes`, unless the list is empty.
///
/// A path with dot segments or a back slash is under no prefix, because programs read it in different ways.
pub(super) fn check(target: &PathAndQuery, prefixes: &[PathPrefix]) -> Result<(), Rejection> {
    let path = target.path();
    let is_under = |prefix: &PathPrefix| {
        path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_plain = !path.contains('\\') && !path.split('/').any(is_dots);
    if prefixes.is_empty() || is_plain && prefixes.iter().any(is_under) { Ok(()) } else { Err(Rejection::Path) }
}

/// Whether the segment is `.` or `..` to a program that decodes it, parameters aside (`..;x`), or holds an encoded slash.
fn is_dots(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    if ["%2f", "%5c", "%25"].iter().any(|code| lower.contains(code)) {
        return true;
    }
    let decoded = lower.replace("%2e", ".").replace("%3b", ";");
    matches!(decoded.split(';').next(), Some("." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(texts: &[&str]) -> Vec<PathPrefix> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn under(texts: &[&str], target: &str) -> bool {
        check(&target.parse().unwrap(), &prefixes(texts)).is_ok()
    }

    #[test]
    fn a_prefix_is_a_path_with_all_below_it() {
        for (target, expected) in [
            ("/hooks", true),
            ("/hooks/", true),
            ("/hooks?src=w", true),
            ("/hooks/wonder?a=/../b", true),
            ("/hooks/a%20b", true),
            ("/hooks/a.b/...", true),
            ("/hooksx", false),
            ("/Hooks", false),
            ("/hook%73/wonder", false),
            ("/", false),
            ("/other/hooks", false),
            ("/hooks/../admin", false),
            ("/hooks/..", false),
            ("/hooks/./x", false),
            ("/hooks/%2e%2E/admin", false),
            ("/hooks/.%2e/admin", false),
            ("/hooks/..;x/admin", false),
            ("/hooks/..%3bx/admin", false),
            ("/hooks/..%2fadmin", false),
            ("/hooks/..%5Cadmin", false),
            ("/hooks/%252e%252e/admin", false),
        ] {
            assert_eq!(under(&["/hooks"], target), expected, "{target}");
        }
        assert!(under(&["/a", "/b/"], "/b/c") && under(&["/"], "/x") && under(&[], "/a/../b"));
    }

    #[test]
    fn the_target_is_restored_from_one_header_byte_for_byte() {
        let rule = OriginalTarget::Header("x-original-uri".parse().unwrap());
        let restore = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-original-uri", value.parse().unwrap());
            }
            restored(&"/internal".parse().unwrap(), &headers, Some(&rule)).map(|target| target.to_string())
        };
        for target in ["/payments/hook?src=w&x=%2f+", "/", "/a?", "//a", "/a/../b"] {
            assert_eq!(restore(&[target]).as_deref(), Ok(target));
        }
        assert_eq!(restore(&[]), Err(Rejection::OriginalTargetMissing));
        assert_eq!(restore(&["/a", "/a"]), Err(Rejection::OriginalTargetRepeated));
        for wrong in ["", "a", "?a", "http://shop/a", "/a#b", "/a b", "*", "/a\tb"] {
            assert_eq!(restore(&[wrong]), Err(Rejection::OriginalTargetInvalid), "{wrong:?}");
        }
    }

    #[test]
    fn a_prefix_that_a_proxy_took_off_is_put_back() {
        let rule = OriginalTarget::Prefix("/payments".to_owned());
        let restore = |target: &str| restored(&target.parse().unwrap(), &HeaderMap::new(), Some(&rule)).unwrap();
        assert_eq!(restore("/hook?src=w"), "/payments/hook?src=w");
        assert_eq!(restore("/"), "/payments/");
        assert_eq!(restore("//x"), "/payments//x");
    }

    #[test]
    fn without_a_rule_the_target_is_as_received() {
        let headers = HeaderMap::from_iter([("x-original-uri".parse().unwrap(), "/other".parse().unwrap())]);
        assert_eq!(restored(&"/hook?".parse().unwrap(), &headers, None).unwrap(), "/hook?");
    }
}
