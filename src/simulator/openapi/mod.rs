//! The `OpenAPI` description of the calls that the simulator serves, generated from the table of the router. `deploy/openapi/wonder.yaml`
//! is the same document; a test compares them.
//!
//! # Layout
//!
//! * `parameters`: parameters in path, query and headers; `answers`: the answers of a call.
//! * `links`: which calls use a value that another call returned.
//! * `bodies`: the schemas of request bodies; `objects`: those of answers; `schema`: their vocabulary.

mod answers;
mod bodies;
mod links;
mod objects;
mod parameters;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use bytes::Bytes;
use http::header;
use serde_json::{Map, Value, json};

use super::served::{CALLS, Call, Owner};
use schema::{Schemas, reference};

/// `GET /simulator/openapi.json`: the document itself, without envelope.
pub(super) async fn serve() -> ([(header::HeaderName, &'static str); 1], Bytes) {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone())
}

const ABOUT: &str = "The calls that wonder-signer's simulator serves. It is not Wonder's own document: x-mark shows how sure a call, a parameter or \
                     an answer is (confirmed, derived or chosen), and deploy/docs/wonder.md has the facts. Send the calls under /svc/ unsigned to \
                     the sidecar, which signs them. The calls under /simulator/ are the simulator's own: send them to the simulator. Fields \
                     that no schema names are ignored. The header X-Simulator-Fault lets a call under /svc/ fail on purpose.";

/// The document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for call in &CALLS {
        let (method, templates) = call.at();
        for (at, template) in templates.into_iter().enumerate() {
            let path = paths.entry(template.to_owned()).or_insert_with(|| path(call, template));
            path[method.to_ascii_lowercase()] = operation(call, at, template);
        }
    }
    let mut schemas = Schemas::new();
    bodies::add(&mut schemas);
    objects::add(&mut schemas);
    parameters::add(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wonder, as the simulator serves it",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:8080", "description": "the sidecar" }],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

/// The common part of all methods of a path: the parameters in the path, and the server of the simulator's own calls.
fn path(call: &Call, template: &str) -> Value {
    let mut path = json!({});
    let parameters = parameters::of_path(call, template);
    if !parameters.is_empty() {
        path["parameters"] = parameters.into();
    }
    if let Owner::Own(..) = call.owner {
        path["servers"] = json!([{ "url": "/", "description": "the simulator that serves this document" }]);
    }
    path
}

fn operation(call: &Call, at: usize, template: &str) -> Value {
    let suffix = if at == 0 { String::new() } else { format!("_{}", at + 1) };
    let mut operation = json!({
        "operationId": format!("{}{suffix}", call.name()),
        "summary": call.summary,
        "x-mark": call.mark.as_str(),
        "responses": answers::of(call),
    });
    // With the token in the path, a body is ignored.
    let body = call.body.filter(|_| !template.ends_with("{token}"));
    if let Some((schema, may_be_absent)) = body {
        operation["requestBody"] =
            json!({ "required": !may_be_absent, "content": { "application/json": { "schema": reference(schema) } } });
    }
    let parameters = parameters::of_call(call);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    operation
}
