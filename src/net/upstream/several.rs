//! One pool of connections per origin, selected by the credential of a request.

use std::collections::BTreeMap;

use super::{Destination, Upstream, UpstreamError};
use crate::{config::Origin, files::Subject, metrics::Metrics};

/// The upstreams of all credentials. Credentials with the same origin share one.
#[derive(Clone)]
pub(crate) struct Upstreams {
    usual: Upstream,
    /// The upstreams for other origins, by credential.
    others: BTreeMap<String, Upstream>,
}

impl Upstreams {
    /// `usual` is the destination of all credentials except those to which `credentials` assigns another one.
    ///
    /// # Errors
    /// Those of [`Upstream::new`].
    pub(crate) fn new<'a>(
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

    /// The upstream of a credential.
    #[must_use]
    pub(crate) fn of(&self, credential: &str) -> &Upstream {
        self.others.get(credential).unwrap_or(&self.usual)
    }

    /// The files to watch.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = Subject> {
        std::iter::once(&self.usual).chain(self.others.values()).filter_map(Upstream::subject)
    }
}
