//! Whether a request may have reached Wonder.

/// What is certain about the bytes of a request that got no answer from Wonder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// No byte of it was written to an upstream connection.
    No,
    /// Some of it was written; what Wonder did with it is unknown.
    Maybe,
}

impl Sent {
    /// Both values, in the order of the variants.
    pub const ALL: &[Self] = &[Self::No, Self::Maybe];

    /// The value as it stands in headers, labels and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Maybe => "maybe",
        }
    }
}
