//! The table of mistakes that a diagnosis can name: the cause and the remedy of each.

use std::fmt;

use super::clock::Offset;

/// One row per mistake: its name, the cause, the remedy.
macro_rules! mistakes {
    ($($name:ident: $done:literal, $remedy:literal;)+) => {
        /// The explanation of a signature that does not verify. `Display` prints both sentences: `<cause>; <remedy>`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Mistake {
            $(
                #[doc = $done]
                $name,
            )+
            /// Signed and sent time differ by an offset from UTC. The signed time is ahead if the offset is positive.
            LocalTime(Offset),
        }

        impl Mistake {
            /// All mistakes except [`Self::LocalTime`], which exists once for each offset.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The cause, as a sentence without a full stop.
            #[must_use]
            pub fn done(self) -> &'static str {
                match self {
                    $(Self::$name => $done,)+
                    Self::LocalTime(_) => "local time was signed but the credential carries another, or the other way round",
                }
            }

            /// The remedy, as an imperative without a full stop.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self {
                    $(Self::$name => $remedy,)+
                    Self::LocalTime(_) => "use UTC for both",
                }
            }
        }
    };
}

mistakes! {
    AnotherKey: "the signature was made with another private key", "check which key the AppID has, and which this is";
    Unknown: "the key is right but no usual mistake explains the signature",
        "check that the nonce that was signed is the one that was sent, then compare each step with `wonder-signer sign --explain`";

    SignatureLength: "the signature is not as long as the modulus of the key",
        "check that it is whole and made with the key of this size";
    SignatureNotBase64: "the signature is not base64", "encode the raw signature bytes as standard base64";
    SignatureUrlSafe: "the signature is encoded with the URL-safe alphabet", "use standard base64 with + and /";
    SignatureUnpadded: "the signature lacks its base64 padding", "pad the base64 text with = signs";
    SignatureWrapped: "the signature has spaces or line ends in it", "encode it in one line (openssl base64 -A)";
    SignaturePlusLost: "each + of the signature became a space, as a form decoder makes it",
        "send and read the header as it is";
    SignaturePercentEncoded: "the signature is percent-encoded (%2B, %2F, %3D)", "send the base64 text as it is";
    SignatureEncodedTwice: "the signature is encoded twice", "encode the raw signature bytes once, as standard base64";
    SignatureQuoted: "the signature has quotation marks around it", "send the base64 text alone";
    SignatureHex: "the signature is encoded as hex", "encode the raw signature bytes as standard base64";

    OtherHash: "the RSA signature was made with another hash than SHA-256", "use RSASSA-PKCS1-v1_5 with SHA-256";
    PssPadding: "the RSA signature was made with PSS padding", "use PKCS#1 v1.5 padding";
    Unhashed: "the RSA operation was done on bytes that are no SHA-256 digest in DER",
        "use a sign function with SHA-256, not bare private-key encryption";

    BodyLeftOut: "the body was not signed", "sign the body's exact bytes after the target and a line feed";
    BlankBodyLeftOut: "a body of white space alone was left out of what was signed", "send no body at all instead";
    BodyInvented: "a body such as {} or [] was signed but none was sent",
        "sign no body and no second line feed when none is sent";
    BodyTrimmed: "the body was signed without the white space around it", "sign the body's exact bytes";
    LineEndAdded: "the body was signed with a line end that was not sent", "sign the body's exact bytes";
    LineEndLeftOut: "the body was signed without its last line end", "sign the body's exact bytes";
    LineEndsToLf: "the body was signed with LF line ends but sent with CRLF", "sign the body's exact bytes";
    LineEndsToCrlf: "the body was signed with CRLF line ends but sent with LF", "sign the body's exact bytes";
    ByteOrderMark: "body signed and body sent differ by a byte order mark", "sign the body's exact bytes";
    JsonCompact: "the body was signed as compact JSON but sent in another form",
        "serialise once, then sign and send the same bytes";
    JsonSpaced: "the body was signed as JSON with a space after each comma and colon (Python's default)",
        "serialise once, then sign and send the same bytes";
    JsonSlashes: "the body was signed as JSON with slashes written \\/ (PHP's default)",
        "serialise once, then sign and send the same bytes";
    JsonEscapes: "the body was signed as JSON with characters escaped as \\u that were sent otherwise",
        "serialise once, then sign and send the same bytes";
    JsonNumbers: "the body was signed as JSON with its numbers written otherwise (1.0 or 1.50 as 1 or 1.5)",
        "serialise once, then sign and send the same bytes";
    JsonSorted: "the body was signed as JSON with its keys in another order",
        "serialise once, then sign and send the same bytes";
    BodyBase64: "the body was signed in base64", "sign the body's exact bytes";
    BodyHash: "a SHA-256 of the body was signed in its place", "sign the body's exact bytes";

    QueryLeftOut: "the target was signed without its query", "sign path and query as they are sent";
    QueryAndAnother: "the target was signed without its query, and that is not the only mistake",
        "sign path and query as they are sent, then verify again to see the other one";
    QueryMark: "the target was signed with a question mark more or less than was sent",
        "sign the target exactly as sent; leave the question mark out of both when there is no query";
    TrailingSlash: "the target was signed with a slash at the end of its path more or less than was sent",
        "sign the target exactly as sent";
    TargetDecoded: "the target was signed with its percent escapes decoded", "sign the target exactly as sent";
    TargetEncoded: "the target was signed with characters percent-encoded that were sent as they are",
        "sign the target exactly as sent";
    TargetEncodedTwice: "the target was signed with its percent escapes encoded once more (%20 as %2520)",
        "sign the target exactly as sent";
    TargetSentEncodedTwice: "the target was sent with percent escapes that are encoded once more than those signed (%2520 for %20)",
        "encode once, then sign and send the same target";
    PlusForSpace: "a space of the target was signed as + but sent as %20, or the other way round",
        "encode once, then sign and send the same target";
    EscapeCase: "the target was signed with percent escapes in another case (%2f, %2F)",
        "sign the target exactly as sent";
    TargetNormalised: "the target was signed with // or dot segments resolved", "sign the target exactly as sent";
    QuerySorted: "the target was signed with its query parameters in another order",
        "sign the target exactly as sent";
    FullUrl: "the full URL was signed in place of the target", "sign from the slash after the host on";
    PathPrefix: "the target was signed without the beginning of its path",
        "sign the whole path, which begins with /svc/";

    MethodCase: "the method was signed in lower case", "sign it in upper case";
    OtherMethod: "another method was signed than was sent", "sign the method that is sent";

    AnotherTime: "another time was signed than the credential carries",
        "take the time once and use it for the credential and the signature";
    TwelveHours: "the time that was signed and that in the credential are 12 hours apart: one is of a 12-hour clock (hh)",
        "format the hours from 00 to 23 (HH)";
    UnixTime: "seconds since 1970 were signed as the time", "sign the 14 digits that the credential carries";
    FirstHmacSwapped: "key and message were swapped in the first HMAC",
        "use the nonce as key and the request time as message";
    SecondHmacSwapped: "key and message were swapped in the second HMAC",
        "use the first HMAC as key and Wonder-RSA-SHA256 as message";
    BothHmacsSwapped: "key and message were swapped in the first and in the second HMAC",
        "use the nonce, then the first HMAC as key; the request time, then Wonder-RSA-SHA256 as message";
    LastHmacSwapped: "key and message were swapped in the last HMAC",
        "use the second HMAC as key and the pre-sign string as message";
    MobileScheme: "Wonder-HMAC-SHA256, the mobile SDK's scheme, was the message of the second HMAC",
        "use Wonder-RSA-SHA256, there and in the credential";
    HexKeys: "the hex text of an HMAC was used as the key of the next", "use the 32 raw bytes as key";
    SecondHmacLeftOut: "the HMAC over the algorithm name was left out",
        "key the last HMAC with the one over Wonder-RSA-SHA256";
    WholeCredential: "the second HMAC was made over the whole credential", "make it over Wonder-RSA-SHA256 alone";
    NoHmac: "the pre-sign string itself was signed", "sign the lower-case hex of the HMAC over it";
    RawMac: "the 32 raw bytes of the last HMAC were signed", "sign its 64 lower-case hex characters";
    UpperHex: "the HMAC was signed as upper-case hex", "sign it as lower-case hex";
    Base64Mac: "the HMAC was signed as base64", "sign it as lower-case hex";
    LineEndAfterMac: "a line end was signed after the hex of the HMAC", "sign the 64 characters alone (printf '%s', not echo)";
    MacAsDigest: "the HMAC was used as the digest of the RSA signature",
        "have the RSA step hash the 64 hex characters with SHA-256";
    HashedTwice: "the signature message was hashed before it was handed to the RSA step",
        "hand over the 64 hex characters; the RSA step hashes them itself";
    LiteralLineEnds: "a backslash and an n were signed in place of each line feed",
        "use a real line feed (double quotes in PHP)";
    CrlfLineEnds: "method, target and body were joined with CRLF", "join them with a single line feed";
    NoLineEnds: "method, target and body were joined with nothing between them", "join them with a line feed";
    LineEndAfterTarget: "a line feed was signed after the target though there is no body", "end with the target";
}

/// The part of a request in which a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The body.
    Body,
    /// The request target.
    Target,
    /// Key, signature, method, time or a step of the scheme.
    Other,
}

impl Mistake {
    /// The part of the request in which the mistake is.
    #[must_use]
    pub fn part(self) -> Part {
        match self {
            Self::BodyLeftOut
            | Self::BlankBodyLeftOut
            | Self::BodyInvented
            | Self::BodyTrimmed
            | Self::LineEndAdded
            | Self::LineEndLeftOut
            | Self::LineEndsToLf
            | Self::LineEndsToCrlf
            | Self::ByteOrderMark
            | Self::JsonCompact
            | Self::JsonSpaced
            | Self::JsonSlashes
            | Self::JsonEscapes
            | Self::JsonNumbers
            | Self::JsonSorted
            | Self::BodyBase64
            | Self::BodyHash => Part::Body,
            Self::QueryLeftOut
            | Self::QueryAndAnother
            | Self::QueryMark
            | Self::TrailingSlash
            | Self::TargetDecoded
            | Self::TargetEncoded
            | Self::TargetEncodedTwice
            | Self::TargetSentEncodedTwice
            | Self::PlusForSpace
            | Self::EscapeCase
            | Self::TargetNormalised
            | Self::QuerySorted
            | Self::FullUrl
            | Self::PathPrefix => Part::Target,
            _ => Part::Other,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalTime(offset) => write!(
                f,
                "the time that was signed is that of the credential at {offset}: one of the two is local time; {}",
                self.remedy()
            ),
            _ => write!(f, "{}; {}", self.done(), self.remedy()),
        }
    }
}
