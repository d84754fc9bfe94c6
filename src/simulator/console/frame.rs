//! The frame of the console's pages: title bar, navigation, active faults, and the result of the last button.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use http::{StatusCode, header};

use crate::html::{self, Escaped};

/// The shared style sheet and the rules of the console.
static STYLE: LazyLock<String> = LazyLock::new(|| html::STYLE.to_owned() + include_str!("console.css"));
const SCRIPT: &str = include_str!("console.js");
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'",
        html::source(&STYLE),
        html::source(SCRIPT)
    )
});

/// A page of the console.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Calls,
    Orders,
    Customers,
    Webhooks,
    Faults,
}

impl Section {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Calls, "/console", "Calls"),
        (Self::Orders, "/console/orders", "Orders"),
        (Self::Customers, "/console/customers", "Customers"),
        (Self::Webhooks, "/console/webhooks", "Webhooks"),
        (Self::Faults, "/console/faults", "Faults"),
    ];
}

/// The frame around the contents of a page.
pub(super) struct Frame<'a> {
    pub(super) section: Section,
    pub(super) title: &'a str,
    /// The active faults as a sentence; empty if there is none.
    pub(super) faults: String,
    /// The result of the last button, or why it had no effect.
    pub(super) outcome: Option<Result<&'a str, &'a str>>,
}

impl Frame<'_> {
    /// The whole page around `contents`, which are HTML.
    pub(super) fn respond(&self, status: StatusCode, contents: &str) -> Response {
        let title = Escaped(self.title);
        let links = Section::ALL.map(|(section, path, name)| {
            let current = if section == self.section { " aria-current=\"page\"" } else { "" };
            format!("<a href=\"{path}\"{current}>{name}</a>")
        });
        let links = links.concat();
        let outcome = self.outcome.map_or_else(String::new, |outcome| match outcome {
            Ok(text) => format!("<p class=\"done\" role=\"status\">{}</p>", Escaped(text)),
            Err(text) => format!("<p class=\"failed\" role=\"alert\">{}</p>", Escaped(text)),
        });
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\"><title>{title} · local Wonder</title><link rel=\"icon\" \
             href=\"data:,\"><style>{}</style></head><body><a class=\"skip\" href=\"#top\">to the contents</a><header \
             class=\"bar\"><strong>local Wonder</strong><nav aria-label=\"sections\">{links}</nav><span \
             class=\"soft live\" role=\"status\"></span></header><main><p id=\"faults\" class=\"note\">{}</p>{outcome}<h1 id=\"top\">{title}</h1>\
             {contents}</main><script>{SCRIPT}</script></body></html>\n",
            *STYLE,
            Escaped(&self.faults),
        );
        let headers = [
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
            // With `no-referrer`, browsers send `Origin: null` with a form, which the guard refuses.
            (header::REFERRER_POLICY, "same-origin"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (status, headers, Html(html)).into_response()
    }
}
