//! Parses method and request target of options.

use std::{fmt, str::FromStr};

/// A request target in origin form: it begins with `/`, has visible ASCII only and no fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target(String);

impl Target {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if !text.starts_with('/') {
            Err(TargetError::Start)
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err(TargetError::Characters)
        } else if text.contains('#') {
            Err(TargetError::Fragment)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

/// Why a text is not a request target. The error does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetError {
    #[error("must start with /: write path and query without scheme and host")]
    Start,
    #[error("must have visible ASCII only: percent-encode other characters as the client does")]
    Characters,
    #[error("must not have a fragment, because clients do not send it: write # as %23")]
    Fragment,
}

/// A method in upper case, as the signature covers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Method(String);

impl Method {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Method {
    type Err = MethodError;

    fn from_str(text: &str) -> Result<Self, MethodError> {
        let token = http::Method::from_bytes(text.as_bytes()).map_err(|_| MethodError)?;
        Ok(Self(token.as_str().to_ascii_uppercase()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an HTTP method such as GET or POST")]
pub(super) struct MethodError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_kept_unchanged_or_rejected() {
        for text in ["/", "/svc/x?", "//svc/../x?f[a]=1,2&t=+08:00%2f%", "/~!$&'()*;=@\"<>\\^`{|}"] {
            assert_eq!(text.parse::<Target>().map(|target| target.0), Ok(text.to_owned()));
        }
        for (text, expected) in [
            ("", TargetError::Start),
            ("svc/x", TargetError::Start),
            ("https://gateway.wonder.today/svc/x", TargetError::Start),
            ("?a", TargetError::Start),
            ("/svc/x y", TargetError::Characters),
            ("/svc/é", TargetError::Characters),
            ("/svc/x\r\nHost: x", TargetError::Characters),
            ("/svc/x\u{7f}", TargetError::Characters),
            ("/svc/x#y", TargetError::Fragment),
        ] {
            assert_eq!(text.parse::<Target>(), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn a_method_is_a_token_in_upper_case() {
        assert_eq!("post".parse::<Method>().map(|method| method.to_string()), Ok("POST".to_owned()));
        assert_eq!("X-Odd".parse::<Method>().map(|method| method.to_string()), Ok("X-ODD".to_owned()));
        for text in ["", "PO ST", "POST\n", "É", "GET/"] {
            assert_eq!(text.parse::<Method>(), Err(MethodError), "{text:?}");
        }
    }
}
