//! The keys of the benchmarks: those of the published test vectors, which protect nothing.

use rsa::{pkcs1::EncodeRsaPrivateKey as _, pkcs8::DecodePrivateKey as _};

/// The AppID of every benchmark.
#[allow(dead_code, reason = "not every benchmark needs it")]
pub const APP_ID: &str = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11";

/// The PEM text of the vectors' key with that name.
pub fn pem(name: &str) -> String {
    let text = include_str!("../../vectors/wonder-rsa-sha256.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    vectors["keys"][name]["private_key_pem"].as_str().unwrap().to_owned()
}

/// One key of each size, with its bits.
#[allow(dead_code, reason = "not every benchmark needs it")]
pub fn all() -> [(usize, String); 2] {
    [(2048, pem("rsa2048-pkcs8")), (4096, pem("rsa4096-pkcs8"))]
}

/// The same key as an aws-lc-rs key pair, for the bare signature.
#[allow(dead_code, reason = "not every benchmark needs it")]
pub fn pair(pem: &str) -> aws_lc_rs::rsa::KeyPair {
    let key = rsa::RsaPrivateKey::from_pkcs8_pem(pem).unwrap();
    aws_lc_rs::rsa::KeyPair::from_der(key.to_pkcs1_der().unwrap().as_bytes()).unwrap()
}
