//! Decides which caller may use the signing listener, and with which credential. Pure.
//!
//! Each decision is `Ok` or one [`Denial`] with the reason. A rule that only reports needs a third outcome; no rule does today.

mod caller;

pub(crate) use caller::{Caller, Name};

use std::collections::BTreeMap;

/// The rules of the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    /// `listen.tls.callers`; empty admits every name.
    listener: Vec<Name>,
    /// The callers of each credential that lists some, by the credential's name.
    credentials: BTreeMap<String, Vec<Name>>,
}

/// The planned use of a credential by a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use<'a> {
    /// The caller that sent the request.
    pub(crate) caller: &'a Caller,
    /// The name of the credential that will sign the request.
    pub(crate) credential: &'a str,
}

impl Policy {
    /// Admits the callers of `names` that show a certificate; all callers whose certificate has a name if `names` is empty.
    #[must_use]
    pub(crate) fn new(names: Vec<Name>) -> Self {
        Self { listener: names, credentials: BTreeMap::new() }
    }

    /// Adds a rule: only the callers of `names` may use `credential`. A caller without a certificate may not.
    #[must_use]
    pub(crate) fn restrict(mut self, credential: &str, names: Vec<Name>) -> Self {
        self.credentials.insert(credential.to_owned(), names);
        self
    }

    /// Decides whether `caller` may use the listener at all.
    ///
    /// This rule is for certificates. A caller without one is on loopback or on a Unix socket, which the system guards, or on an
    /// address that the configuration opens to every program (`listen.dangerous_allow_non_loopback`).
    ///
    /// # Errors
    /// The reason of a denial, which applies to each request of the connection.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<(), Denial> {
        match caller {
            Caller::Unknown => Err(Denial::Unknown),
            Caller::UnixSocket | Caller::Tcp(_) => Ok(()),
            Caller::Certificate { name: None, .. } => Err(Denial::Nameless),
            Caller::Certificate { name: Some(name), .. }
                if self.listener.is_empty() || self.listener.contains(name) =>
            {
                Ok(())
            }
            Caller::Certificate { .. } => Err(Denial::NotAdmitted),
        }
    }

    /// Decides whether an admitted caller may have a request signed.
    ///
    /// # Errors
    /// The reason of a denial, which applies to this request only.
    pub(crate) fn allow(&self, r#use: &Use<'_>) -> Result<(), Denial> {
        let Use { caller, credential } = r#use;
        if **caller == Caller::Unknown {
            return Err(Denial::Unknown);
        }
        let Some(listed) = self.credentials.get(*credential) else { return Ok(()) };
        match caller.name() {
            Some(name) if listed.contains(name) => Ok(()),
            name => Err(Denial::NotOfCredential { name: name.cloned() }),
        }
    }

    /// Denies a request for a credential that is not configured like one for a credential of other callers, so that the answer does not
    /// show which names exist. Without any rule for a credential there is nothing to conceal.
    ///
    /// # Errors
    /// The denial of [`allow`](Self::allow).
    pub(crate) fn conceal(&self, caller: &Caller) -> Result<(), Denial> {
        if self.credentials.is_empty() {
            return Ok(());
        }
        Err(Denial::NotOfCredential { name: caller.name().cloned() })
    }

    /// Every name that a rule lists, which are few and known from the start: metrics count these callers by name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        self.listener.iter().chain(self.credentials.values().flatten())
    }
}

/// Why a request is denied, as the caller receives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    /// No listener has decided the caller.
    #[error("the listener has not identified the caller")]
    Unknown,
    /// The certificate proves no name.
    #[error(
        "the certificate of this caller has no DNS name and no URI (1 to 253 visible ASCII characters) among its subject \
         alternative names; issue one that has: the common name does not count"
    )]
    Nameless,
    /// The listener does not list the caller.
    #[error("the caller of this certificate is not in listen.tls.callers")]
    NotAdmitted,
    /// The credential does not list the caller, or is not configured.
    #[error(
        "no such credential for caller {}: X-Wonder-Signer-Credential must name one whose callers (credentials.NAME.callers) include it, or \
         be left out where those of credentials.default do",
        .name.as_ref().map_or("without a certificate", Name::as_str)
    )]
    NotOfCredential {
        /// The caller's name, if it has proved one.
        name: Option<Name>,
    },
}

#[cfg(test)]
mod tests;
