//! Customers and their payment tokens.

use std::{fmt::Write as _, sync::Arc};

use axum::{extract::State, response::Response};
use http::{StatusCode, Uri};

use super::{Section, frame, value};
use crate::{
    html::Escaped,
    simulator::{
        Wonder,
        mask::shown,
        path::query,
        store::records::{Customer, Means, Token, TokenState},
    },
};

/// The number of customers on a page.
const ROWS: usize = 100;

/// `GET /console/customers?offset=`: the newest first, each with its tokens.
pub(super) async fn list(State(wonder): State<Arc<Wonder>>, uri: Uri) -> Response {
    let offset = value(&query(&uri), "offset").and_then(|text| text.parse().ok()).unwrap_or(0);
    let store = wonder.store();
    let found: Vec<&Customer> = store.customers.newest().skip(offset).take(ROWS).collect();
    let mut html = String::from("<div id=\"customers\" class=\"box scroll\">");
    if found.is_empty() {
        html.push_str(
            "<p class=\"empty\">No customer yet. <code>POST customers</code> through the sidecar creates one.</p>",
        );
    } else {
        html.push_str(
            "<table aria-label=\"customers\"><thead><tr><th scope=\"col\">Reference</th><th scope=\"col\">Name</th><th scope=\"col\" \
             class=\"wide\">uuid</th><th scope=\"col\">Payment tokens</th></tr></thead><tbody>",
        );
        for customer in &found {
            // Writing to a `String` does not fail.
            let _ = write!(
                html,
                "<tr><td>{}</td><td>{}</td><td class=\"wide code\">{}</td><td>",
                Escaped(shown(&customer.reference_number)),
                Escaped(shown(&customer.profile.name)),
                customer.uuid
            );
            for token in
                customer.tokens.iter().filter_map(|token| store.customers.any_token(&customer.app_id, *token).ok())
            {
                token_line(&mut html, token, customer.default_token == Some(token.uuid), &wonder);
            }
            html.push_str("</td></tr>");
        }
        html.push_str("</tbody></table>");
    }
    html.push_str("</div>");
    if found.len() == ROWS {
        let next = offset.saturating_add(ROWS);
        let _ = write!(
            html,
            "<nav class=\"pages\" aria-label=\"pages\"><a href=\"/console/customers?offset={next}\">older</a></nav>"
        );
    }
    frame(&wonder, Section::Customers, "Customers").respond(StatusCode::OK, &html)
}

fn token_line(html: &mut String, token: &Token, default: bool, wonder: &Wonder) {
    let mood = match token.state {
        TokenState::Success => "good",
        TokenState::Pending => "warn",
        TokenState::Failed => "bad",
    };
    let means = match &token.means {
        Means::Card(card) => format!("{} {}", card.brand, card.masked),
        Means::Alipay | Means::Wechat => token.means.token_type().to_owned(),
    };
    let _ = write!(html, "<div><span class=\"tag {mood}\">{}</span> {}", token.state.as_str(), Escaped(means));
    if default {
        html.push_str(" <span class=\"soft\">default</span>");
    }
    if token.state == TokenState::Pending {
        let _ = write!(html, " <a href=\"{}\">3-D Secure page</a>", Escaped(wonder.verify_url(token.verify_uuid)));
    }
    html.push_str("</div>");
}
