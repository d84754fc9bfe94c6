//! Credential, AppID, request time and nonce: each accepted text is written back unchanged.

#![no_main]

use std::{fmt::Display, str::FromStr};

use libfuzzer_sys::fuzz_target;
use wonder_signer::signing::{AppId, Credential, Nonce, RequestTime};

fuzz_target!(|text: &str| {
    same::<AppId>(text);
    same::<Credential>(text);
    same::<Nonce>(text);
    if same::<RequestTime>(text) {
        let time: RequestTime = text.parse().unwrap();
        assert_eq!(RequestTime::from_unix_seconds(time.unix_seconds()), time);
    }
});

fn same<T: FromStr + Display>(text: &str) -> bool {
    let Ok(value) = text.parse::<T>() else { return false };
    assert_eq!(value.to_string(), text);
    true
}
