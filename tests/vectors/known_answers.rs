//! `wonder-rsa-sha256.json`, as the tests of the library and those of the program read it.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct KnownAnswers {
    pub(crate) algorithm: String,
    pub(crate) keys: BTreeMap<String, Pems>,
    pub(crate) refused_keys: BTreeMap<String, Pems>,
    pub(crate) vectors: Vec<Vector>,
}

#[derive(Deserialize)]
pub(crate) struct Pems {
    pub(crate) private_key_pem: String,
    pub(crate) public_key_pem: String,
}

#[derive(Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) app_id: String,
    pub(crate) request_time: String,
    pub(crate) nonce: String,
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) body_base64: String,
    pub(crate) credential: String,
    pub(crate) message_hex: String,
    pub(crate) signature: String,
}

impl KnownAnswers {
    pub(crate) fn load() -> Self {
        serde_json::from_str(include_str!("wonder-rsa-sha256.json")).unwrap()
    }
}

impl Vector {
    pub(crate) fn body(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(&self.body_base64).unwrap()
    }
}
