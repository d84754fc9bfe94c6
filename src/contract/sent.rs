//! Whether a request may have reached Wonder.

/// The certain facts about a request without a response from Wonder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// No byte of the request was written to an upstream connection.
    No,
    /// Some bytes were written. Whether Wonder processed the request is unknown.
    Maybe,
}

impl Sent {
    /// Both values, in the order of the variants.
    pub(crate) const ALL: &[Self] = &[Self::No, Self::Maybe];

    /// The value as in headers, labels and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Maybe => "maybe",
        }
    }
}
