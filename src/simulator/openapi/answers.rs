//! The answers of a call.

use serde_json::{Map, Value, json};

use super::{
    links,
    schema::{Schemas, object, reference},
};
use crate::simulator::served::{Call, Mark, Owner, Parameter};

/// Refusals of every call under `/svc/`.
const SIGNED: [u16; 5] = [400, 401, 408, 413, 507];
/// Refusals of every call of the simulator's own.
const OWN: [u16; 6] = [400, 403, 408, 413, 421, 507];

pub(super) fn of(call: &Call) -> Value {
    let is_own = matches!(call.owner, Owner::Own(..));
    let mut answers = json!({ "200": success(call, is_own) });
    let all: &[u16] = if is_own { &OWN } else { &SIGNED };
    for status in all.iter().chain(call.refusals) {
        let (mark, text) = meaning(*status);
        let schema = match *status {
            409 => reference("BusinessError"),
            // The sidecar rejects some of these requests itself.
            400 | 408 | 413 if !is_own => either(),
            _ => reference("Error"),
        };
        answers[status.to_string()] =
            json!({ "description": text, "x-mark": mark.as_str(), "content": content(&schema) });
    }
    if !is_own {
        answers["default"] = json!({
            "description": "an answer of the sidecar's own, which X-Wonder-Signer-Error names (deploy/errors.md), or a fault on purpose",
            "x-mark": Mark::Chosen.as_str(),
            "content": content(&either()),
        });
    }
    answers
}

fn either() -> Value {
    json!({ "oneOf": [reference("Error"), reference("SidecarError")] })
}

fn meaning(status: u16) -> (Mark, &'static str) {
    match status {
        400 => (Mark::Confirmed, "a parameter or the body is invalid; nothing was carried out"),
        401 => (Mark::Derived, "signature, time, nonce or AppID are wrong"),
        403 => (Mark::Chosen, "a web page of another origin sent the request"),
        404 => (Mark::Chosen, "there is no such row"),
        408 => (Mark::Chosen, "the body did not arrive in time"),
        409 => (Mark::Chosen, "the state of the order does not allow it"),
        413 => (Mark::Chosen, "the body is too large"),
        421 => (Mark::Chosen, "Host is no name of the simulator"),
        _ => (Mark::Chosen, "the memory of the simulator is full, or its state file cannot be written"),
    }
}

fn success(call: &Call, is_own: bool) -> Value {
    let members = |members: &[(&str, &str)]| -> Schemas {
        members.iter().map(|(name, of)| ((*name).to_owned(), reference(of))).collect()
    };
    let mut properties = members(call.data);
    properties.extend(members(call.optional));
    let required: Vec<&str> = call.data.iter().map(|(name, _)| *name).collect();
    let mut data = object(&required, Value::Object(properties));
    data["additionalProperties"] = false.into();
    let properties = json!({ "code": { "const": 200 }, "message": { "type": "string" }, "data": data });
    let mut envelope = object(&["code", "message", "data"], properties);
    envelope["additionalProperties"] = false.into();
    if is_own {
        return json!({ "description": "success", "x-mark": call.mark.as_str(), "content": content(&envelope) });
    }
    let mut success = json!({
        "description": "success, or a business error: its code is not 200",
        "x-mark": call.mark.as_str(),
        "content": content(&json!({ "oneOf": [envelope, reference("BusinessError")] })),
    });
    if call.parameters.contains(&Parameter::Rows) {
        let mut headers = Map::new();
        headers.insert(
            "X-Total-Entries".to_owned(),
            json!({ "description": "how many rows there are", "required": true, "schema": { "type": "integer", "minimum": 0 } }),
        );
        success["headers"] = headers.into();
    }
    if let Some(links) = links::of(call.name()) {
        success["links"] = links;
    }
    success
}

fn content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}
