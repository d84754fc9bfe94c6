//! What parses and what does not, the calendar, and how evenly nonces fall.

use rand::{SeedableRng as _, rngs::StdRng};

use super::*;

#[test]
fn app_ids_are_uuids_in_any_case_and_kept_as_written() {
    for text in ["844bcde8-3a40-4b0f-8ec5-4cb7ef621538", "844BCDE8-3A40-4B0F-8EC5-4CB7EF621538"] {
        assert_eq!(text.parse::<AppId>().map(|id| id.to_string()), Ok(text.to_owned()));
    }
    for text in [
        "",
        "844bcde83a404b0f8ec54cb7ef621538",
        "844bcde8-3a40-4b0f-8ec5-4cb7ef62153",
        "844bcde8-3a40-4b0f-8ec5-4cb7ef6215380",
        "844bcde8-3a40-4b0f-8ec5-4cb7ef62153g",
        "844bcde8_3a40_4b0f_8ec5_4cb7ef621538",
        "844bcde83-a40-4b0f-8ec5-4cb7ef621538",
        "{844bcde8-3a40-4b0f-8ec5-4cb7ef6215}",
        " 844bcde8-3a40-4b0f-8ec5-4cb7ef62153",
        "844bcde8-3a40-4b0f-8ec5-4cb7ef62153\n",
        "844bcde8-3a40-4b0f-8ec5-4cb7ef6215é",
        "844bcde8-3a40-4b0f-8ec5-4cb7ef62/538",
    ] {
        assert_eq!(text.parse::<AppId>(), Err(CredentialError::AppId), "{text:?}");
    }
}

#[test]
fn request_times_are_real_moments_in_14_digits() {
    // Seconds from `date -u -d '…' +%s`.
    for (text, seconds) in [
        ("19700101000000", 0),
        ("19700101000001", 1),
        ("19991231235959", 946_684_799),
        ("20000229000000", 951_782_400),
        ("20010909014640", 1_000_000_000),
        ("20240501120123", 1_714_564_883),
        ("20280229235959", 1_835_481_599),
        ("20380119031408", 2_147_483_648),
        ("21000228235959", 4_107_542_399),
        ("21000301000000", 4_107_542_400),
        ("24000229000000", 13_574_563_200),
        ("99991231235959", 253_402_300_799),
    ] {
        assert_eq!(text.parse::<RequestTime>().map(RequestTime::unix_seconds), Ok(seconds), "{text}");
        assert_eq!(RequestTime::from_unix_seconds(seconds).to_string(), text, "{seconds}");
    }
    for text in [
        "",
        "2024050112012",
        "202405011201230",
        "20240501120123 ",
        " 2024050112012",
        "+2024050112012",
        "2024-05-01T120",
        "20240501T12012",
        "19691231235959",
        "00000101000000",
        "20240001000000",
        "20241301000000",
        "20240500000000",
        "20240532000000",
        "20240431000000",
        "20230229000000",
        "21000229000000",
        "19000229000000",
        "20280230000000",
        "20240501240000",
        "20240501126000",
        "20240501120060",
        "99999999999999",
        // 14 bytes and 14 characters of digits that are not ASCII
        "２０２４０",
        "２０２４０５０１１２０１２３",
        "٢٠٢٤٠٥٠١١٢٠١٢٣",
        "2024050112٢٣",
    ] {
        assert_eq!(text.parse::<RequestTime>(), Err(CredentialError::RequestTime), "{text:?}");
    }
}

#[test]
fn every_day_until_the_year_9999_reads_back() {
    let mut before = String::new();
    for day in 0..=RequestTime::LAST / 86_400 {
        // A time of day that wanders through all hours, minutes and seconds.
        let time = RequestTime::from_unix_seconds(day * 86_400 + day * 7919 % 86_400);
        let text = time.to_string();
        assert_eq!(text.parse(), Ok(time), "{text}");
        assert!(before < text, "{before} comes before {text}");
        before = text;
    }
    assert_eq!(&before[..8], "99991231");
    assert_eq!(RequestTime::from_unix_seconds(u64::MAX).to_string(), "99991231235959");
}

#[test]
fn nonces_are_16_letters_and_digits() {
    for text in ["q7Zt1LmX0aRc9KpV", "0000000000000000", "zzzzzzzzzzzzzzzz"] {
        assert_eq!(text.parse::<Nonce>().map(|nonce| nonce.to_string()), Ok(text.to_owned()));
    }
    for text in [
        "",
        "q7Zt1LmX0aRc9Kp",
        "q7Zt1LmX0aRc9KpVV",
        "q7Zt1LmX0aRc9Kp-",
        "q7Zt1LmX0aRc9Kp ",
        "q7Zt1LmX0aRc9Kp\n",
        "q7Zt1LmX0aRc9Kp\0",
        "q7Zt1LmX0aRc9K/V",
        "q7Zt1LmX0aRc9Ké",
        "ｑ7Zt1LmX0aRc9",
    ] {
        assert_eq!(text.parse::<Nonce>(), Err(CredentialError::Nonce), "{text:?}");
    }
}

#[test]
fn drawn_nonces_are_well_formed_different_and_even() {
    const DRAWS: u32 = 20_000;
    let mut random = StdRng::seed_from_u64(20_260_214);
    let mut seen = std::collections::HashSet::new();
    let mut counts = [[0u32; 128]; 16];
    for _ in 0..DRAWS {
        let nonce = Nonce::generate(&mut random);
        assert_eq!(nonce.as_str().parse(), Ok(nonce));
        assert!(seen.insert(nonce), "no nonce comes twice");
        for (at, byte) in nonce.as_str().bytes().enumerate() {
            counts[at][usize::from(byte)] += 1;
        }
    }
    let alphabet: Vec<u8> = (0..128).filter(u8::is_ascii_alphanumeric).collect();
    assert_eq!(alphabet.len(), 62);
    // 61 degrees of freedom: one draw in 10 000 of an even source lies above 109.7; a modulo of a byte by 62
    // (8 characters with 5 chances in 256, 54 with 4) would lie near 130 per position and 2000 over all.
    let chi_square = |counts: &dyn Fn(u8) -> u32, draws: u32| -> f64 {
        let expected = f64::from(draws) / 62.0;
        alphabet.iter().map(|byte| (f64::from(counts(*byte)) - expected).powi(2) / expected).sum()
    };
    for (at, counts) in counts.iter().enumerate() {
        let value = chi_square(&|byte| counts[usize::from(byte)], DRAWS);
        assert!(value < 109.7, "position {at}: {value}");
    }
    let overall = chi_square(&|byte| counts.iter().map(|counts| counts[usize::from(byte)]).sum(), DRAWS * 16);
    assert!(overall < 109.7, "all positions: {overall}");
}

#[test]
fn credentials_have_three_parts() {
    let app_id = "844bcde8-3a40-4b0f-8ec5-4cb7ef621538";
    let good = format!("{app_id}/20240501120123/Wonder-RSA-SHA256");
    assert_eq!(good.parse::<Credential>().map(|credential| credential.to_string()), Ok(good.clone()));
    for (text, expected) in [
        (String::new(), CredentialError::Parts),
        (app_id.to_owned(), CredentialError::Parts),
        (format!("{app_id}/20240501120123"), CredentialError::Parts),
        (format!("{good}/"), CredentialError::Parts),
        (format!("/{good}"), CredentialError::Parts),
        (format!("{app_id}/20240501120123/"), CredentialError::Algorithm),
        (format!("{app_id}/20240501120123/wonder-rsa-sha256"), CredentialError::Algorithm),
        (format!("{app_id}/20240501120123/Wonder-RSA-SHA512"), CredentialError::Algorithm),
        (format!("{app_id}/20240501120123/Wonder-HMAC-SHA256"), CredentialError::MobileAlgorithm),
        (format!("{good} "), CredentialError::Algorithm),
        (format!(" {good}"), CredentialError::AppId),
        ("/20240501120123/Wonder-RSA-SHA256".to_owned(), CredentialError::AppId),
        (format!("{app_id}//Wonder-RSA-SHA256"), CredentialError::RequestTime),
        (format!("{app_id}/20240501250123/Wonder-RSA-SHA256"), CredentialError::RequestTime),
    ] {
        assert_eq!(text.parse::<Credential>(), Err(expected), "{text:?}");
    }
}
