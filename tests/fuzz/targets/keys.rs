//! Keys in PEM: any text gives a working key or an error, and a key reads back its own PEM.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wonder_signer::signing::{AppId, Nonce, RequestTime, SigningKey, Stamp, VerifyingKey, sign, verify};

fuzz_target!(|pem: &[u8]| {
    match SigningKey::from_pem(pem) {
        Ok(key) => {
            let stamp = Stamp {
                request_time: RequestTime::from_unix_seconds(0),
                nonce: "0123456789abcdef".parse::<Nonce>().unwrap(),
            };
            let app_id: AppId = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11".parse().unwrap();
            let signed = sign(&key, &app_id, &stamp, "GET", "/svc/a", &[b"{}"]).unwrap();
            verify(key.verifying_key(), &stamp, "GET", "/svc/a", &[b"{}"], &signed.signature).unwrap();
        }
        Err(error) => one_line(&error.to_string()),
    }
    match VerifyingKey::read(pem) {
        Ok(key) => {
            let again = VerifyingKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap();
            assert_eq!((again.bits(), again.fingerprint()), (key.bits(), key.fingerprint()));
        }
        Err(error) => one_line(&error.to_string()),
    }
});

/// An error may repeat the label of a PEM block and nothing else of the input.
fn one_line(error: &str) {
    assert!(error.len() < 400, "{error}");
}
