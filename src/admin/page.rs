//! The status page as HTML: self-contained, readable on a phone, works without its script. Every value is escaped, and the content
//! security policy allows the one style and the one script in it and nothing else, so that a value that got through could do nothing.

use std::{
    fmt::{self, Display, Write},
    sync::LazyLock,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::status::Status;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page's `Content-Security-Policy`. Images may be `data:` for the empty icon, which spares a request for `/favicon.ico`.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// The whole page.
pub(super) fn page(status: &Status) -> String {
    let mut html = String::with_capacity(8 * 1024);
    // Writing to a `String` does not fail.
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n\
         <title>wonder-signer</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>wonder-signer</h1>\n<p id=\"headline\" role=\"status\" class=\"{}\">{}</p>\n<ul id=\"problems\">",
        Escaped(status.health),
        Escaped(&status.headline)
    );
    for problem in &status.problems {
        let _ = write!(html, "<li>{}</li>", Escaped(problem));
    }
    html.push_str("</ul>\n<div id=\"sections\">\n");
    for section in &status.sections {
        let _ = write!(html, "<section><h2>{}</h2><dl>", Escaped(&section.title));
        for (label, value) in &section.rows {
            let _ = write!(html, "<div><dt>{}</dt><dd>{}</dd></div>", Escaped(label), Escaped(value));
        }
        html.push_str("</dl></section>\n");
    }
    let _ = write!(
        html,
        "</div>\n<nav><a href=\"/metrics\">metrics</a><a href=\"/config\">configuration</a></nav>\n</main>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    html
}

/// Text that is safe within an element and within a quoted attribute.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|found| match found {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::status::Section;

    #[test]
    fn escapes_every_value() {
        let nasty = "<script>alert(\"1\")</script>&'";
        let status = Status {
            health: "good",
            headline: nasty.to_owned(),
            problems: vec![nasty.to_owned()],
            sections: vec![Section { title: nasty.to_owned(), rows: vec![(nasty.to_owned(), nasty.to_owned())] }],
        };
        let html = page(&status);
        let safe = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;";
        assert_eq!((html.matches(safe).count(), html.matches("alert(\"").count()), (5, 0));
        assert_eq!(html.matches("<script>").count(), 1);
    }

    #[test]
    fn the_policy_names_the_very_style_and_script_of_the_page() {
        let status = Status { health: "good", headline: String::new(), problems: vec![], sections: vec![] };
        let html = page(&status);
        let inside = |open: &str, close: &str| {
            let from = html.find(open).unwrap() + open.len();
            let text = &html[from..from + html[from..].find(close).unwrap()];
            format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
        };
        assert!(POLICY.contains(&format!("style-src {}", inside("<style>", "</style>"))), "{}", *POLICY);
        assert!(POLICY.contains(&format!("script-src {}", inside("<script>", "</script>"))), "{}", *POLICY);
        assert!(!html.contains("style=") && !html.contains("onclick"));
    }
}
