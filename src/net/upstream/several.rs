//! One pool of connections per origin, found by the credential that a request is signed with.

use std::collections::BTreeMap;

use super::{Destination, Upstream, UpstreamError};
use crate::{config::Origin, files::Subject, metrics::Metrics};

/// The upstreams of all credentials. Credentials for the same origin share one.
#[derive(Clone)]
pub struct Upstreams {
    usual: Upstream,
    /// Those for another origin, by credential.
    others: BTreeMap<String, Upstream>,
}

impl Upstreams {
    /// `usual` is where requests go, but for those of the credentials that `credentials` gives another origin.
    ///
    /// # Errors
    /// Those of [`Upstream::new`].
    pub fn new<'a>(
        usual: &Destination,
        credentials: impl IntoIterator<Item = (&'a str, &'a Origin)>,
        metrics: &Metrics,
    ) -> Result<Self, UpstreamError> {
        let mut made: Vec<(Origin, Upstream)> = Vec::new();
        let mut others = BTreeMap::new();
        for (name, origin) in credentials.into_iter().filter(|(_, origin)| **origin != usual.origin) {
            let known = made.iter().find(|(known, _)| known == origin).map(|(_, upstream)| upstream.clone());
            let upstream = if let Some(upstream) = known {
                upstream
            } else {
                let destination = Destination { origin: origin.clone(), ..usual.clone() };
                let upstream = Upstream::new(&destination, metrics.clone())?;
                made.push((origin.clone(), upstream.clone()));
                upstream
            };
            others.insert(name.to_owned(), upstream);
        }
        Ok(Self { usual: Upstream::new(usual, metrics.clone())?, others })
    }

    /// That of a credential.
    #[must_use]
    pub fn of(&self, credential: &str) -> &Upstream {
        self.others.get(credential).unwrap_or(&self.usual)
    }

    /// The files to watch.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        std::iter::once(&self.usual).chain(self.others.values()).filter_map(Upstream::subject)
    }
}
