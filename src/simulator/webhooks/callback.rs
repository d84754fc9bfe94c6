//! The URL of a webhook: its destination, and the target that its signature covers.
//!
//! The target is the part of the URL after the authority, byte for byte; a URL parser would rewrite it. The signed target of a URL without
//! a path is not documented (`deploy/docs/wonder.md` §3.2). `/` is chosen here, because no other target can be sent.

use std::{fmt, str::FromStr};

use crate::{
    config::{Origin, origin::OriginError},
    simulator::mask::shown,
};

/// The longest target that Wonder's plugin for `WooCommerce` accepts, in characters.
const WORDPRESS_LONGEST: usize = 2048;

/// A URL for webhooks. `Display` omits the values of its query, which may be secrets, and masks card numbers in its path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Callback {
    /// Scheme, host and port.
    pub(crate) origin: Origin,
    /// The sent and signed path and query.
    pub(crate) target: String,
}

impl FromStr for Callback {
    type Err = CallbackError;

    fn from_str(text: &str) -> Result<Self, CallbackError> {
        let after_scheme = text.find("://").map_or(0, |at| at + 3);
        let end = text[after_scheme..].find(['/', '?', '#']).map_or(text.len(), |at| after_scheme + at);
        let (origin, rest) = text.split_at(end);
        let origin = Origin::parse(origin).map_err(CallbackError::Origin)?;
        let target = rest.split('#').next().unwrap_or_default();
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CallbackError::Characters);
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        // Characters that HTTP libraries reject in a request line.
        target.parse::<http::uri::PathAndQuery>().map_err(|_| CallbackError::Characters)?;
        Ok(Self { origin, target })
    }
}

impl Callback {
    /// The URL with its whole query, which may be secret.
    pub(crate) fn whole(&self) -> String {
        format!("{}{}", self.origin, self.target)
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, query) = self.target.split_once('?').map_or((&self.target[..], ""), |(path, _)| (path, "?…"));
        write!(f, "{}{}{query}", self.origin, shown(path))
    }
}

/// Why a text is not a callback URL. The error does not repeat the text, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// It does not begin with an origin.
    #[error("{0}")]
    Origin(OriginError),
    /// Its path or query has characters that a request line must not have.
    #[error("has characters in its path or query that a URL does not have; percent-encode them")]
    Characters,
}

/// Why a known receiver cannot verify webhooks to a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Caution {
    /// Characters outside those that Wonder's plugin for `WooCommerce` allows.
    Characters,
    /// Percent escapes, which `WordPress` removes before the plugin verifies.
    Escapes,
    /// A target that is longer than the plugin allows.
    Length,
    /// A question mark at the end, which the plugin removes before it verifies.
    BareQuestionMark,
    /// A query, which a handler that verifies only the path ignores.
    Query,
}

impl Callback {
    /// Every reason why a known receiver could not verify webhooks to this URL.
    #[must_use]
    pub(crate) fn cautions(&self) -> Vec<Caution> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%?=&".contains(&byte);
        let query = self.target.split_once('?').map(|(_, query)| query);
        let all = [
            (Caution::Characters, !self.target.bytes().all(allowed)),
            (Caution::Escapes, self.target.contains('%')),
            (Caution::Length, self.target.len() > WORDPRESS_LONGEST),
            (Caution::BareQuestionMark, query == Some("")),
            (Caution::Query, query.is_some_and(|query| !query.is_empty())),
        ];
        all.into_iter().filter_map(|(caution, applies)| applies.then_some(caution)).collect()
    }
}

/// A sentence without a full stop.
impl fmt::Display for Caution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => {
                "Wonder's WooCommerce plugin answers 400 to a URL with other characters than A-Z a-z 0-9 - . _ ~ / % ? = &"
            }
            Self::Escapes => "WordPress removes percent escapes before Wonder's WooCommerce plugin verifies, which then answers 403",
            Self::Length => "Wonder's WooCommerce plugin refuses a path and query of more than 2048 characters",
            Self::BareQuestionMark => {
                "Wonder's WooCommerce plugin drops a question mark with nothing after it before it verifies"
            }
            Self::Query => {
                "a handler that verifies the path alone answers 401, because the signature covers the query too"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_path_and_query_byte_for_byte() {
        for (url, origin, target) in [
            ("http://127.0.0.1:3000/hook", "http://127.0.0.1:3000", "/hook"),
            ("https://Shop.Example/hooks/wonder?src=w", "https://shop.example", "/hooks/wonder?src=w"),
            ("https://shop.example:443", "https://shop.example", "/"),
            ("http://shop:3000?a=1", "http://shop:3000", "/?a=1"),
            ("http://[::1]:8080/a/../b//c?x=%2f&y=+#top", "http://[::1]:8080", "/a/../b//c?x=%2f&y=+"),
            ("http://localhost/hook?", "http://localhost", "/hook?"),
        ] {
            let callback: Callback = url.parse().unwrap();
            assert_eq!((callback.origin.to_string().as_str(), callback.target.as_str()), (origin, target), "{url}");
        }
    }

    #[test]
    fn refuses_what_is_no_http_url() {
        for url in ["", "/hook", "shop.example/hook", "ftp://shop.example/", "http:///hook", "http://u:p@shop.example/"]
        {
            assert!(matches!(url.parse::<Callback>(), Err(CallbackError::Origin(_))), "{url}");
        }
        for url in ["http://shop.example/a b", "http://shop.example/café", "http://shop.example/\n"] {
            assert_eq!(url.parse::<Callback>(), Err(CallbackError::Characters), "{url}");
        }
    }

    #[test]
    fn shows_no_value_of_a_query() {
        let callback: Callback = "http://127.0.0.1:3000/hook?token=secret".parse().unwrap();
        assert_eq!(callback.to_string(), "http://127.0.0.1:3000/hook?…");
    }

    #[test]
    fn warns_of_urls_that_a_known_receiver_cannot_verify() {
        let cautions = |target: &str| format!("http://127.0.0.1:1{target}").parse::<Callback>().unwrap().cautions();
        assert_eq!(cautions("/wc-api/wonder_payment"), []);
        assert_eq!(cautions("/?wc-api=wonder_payment"), [Caution::Query]);
        for character in ["+", ":", "[", "]", ","] {
            assert_eq!(cautions(&format!("/a{character}")), [Caution::Characters], "{character}");
        }
        assert_eq!(cautions("/caf%C3%A9"), [Caution::Escapes]);
        assert_eq!(cautions("/hook?"), [Caution::BareQuestionMark]);
        assert_eq!(cautions(&format!("/{}", "a".repeat(2048))), [Caution::Length]);
    }
}
