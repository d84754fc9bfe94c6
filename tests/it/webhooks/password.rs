//! The file with the password of Redis: what no password can be stops the start, with the key, the path and the remedy.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use tempfile::TempDir;

use crate::support::{
    program::{Program, Running, environment},
    webhooks::key_file,
};

#[test]
fn a_password_file_without_a_password_stops_the_start() {
    let (directory, key) = (TempDir::new().unwrap(), key_file());
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("directory")).unwrap();
    let large = [b'x'; 5000];
    for (name, content) in [
        ("empty", &b""[..]),
        ("blank", b" \n\n"),
        ("lines", b"MARKER\nsecond\n"),
        ("control", b"MARKER\0\n"),
        ("binary", b"MARKER\xff\n"),
        ("large", &large),
    ] {
        fs::write(path(name), content).unwrap();
    }
    for (name, reason) in [
        ("missing", "cannot be read: No such file or directory (os error 2); create it, or correct its path"),
        ("directory", "is a directory, a file is needed; name the file in it"),
        ("empty", "holds no password: it is empty; write the password into it, or leave the key out"),
        ("blank", "holds no password: it is empty; write the password into it, or leave the key out"),
        ("lines", "holds more than one line, or a control character; leave only the password in it"),
        ("control", "holds more than one line, or a control character; leave only the password in it"),
        ("binary", "holds no password: it is not UTF-8 text; write the password as text"),
        ("large", "is larger than 4 KiB; name the right file"),
    ] {
        let file = path(name);
        let variables = [
            ("WONDER_SIGNER_WEBHOOK__ADDRESS", "127.0.0.1:0"),
            ("WONDER_SIGNER_WEBHOOK__FORWARD_TO", "http://127.0.0.1:3000"),
            ("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY_FILE", key.path().to_str().unwrap()),
            // In lower case, as some tools write variables.
            ("wonder_signer_webhook__redis__url", "redis://127.0.0.1:1"),
            ("wonder_signer_webhook__redis__password_file", file.to_str().unwrap()),
        ];
        let variables = [&environment("http://127.0.0.1:9")[..], &variables].concat();
        for command in ["run", "check"] {
            let ended = Program::run(&[command], &variables, b"");
            let line = ended.err.lines().last().unwrap();
            let expected = format!("webhook.redis.password_file {}: {reason}", file.display());
            assert!(ended.code() == Some(64) && line.ends_with(&expected), "{command} {name}: {ended:?}");
            assert!(!ended.err.contains("MARKER"), "{ended:?}");
        }
    }
}

#[test]
fn a_password_file_with_a_line_end_starts_without_a_redis() {
    let (directory, key) = (TempDir::new().unwrap(), key_file());
    let file = directory.path().join("password");
    fs::write(&file, "secret \r\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o400)).unwrap();
    let variables = [
        ("WONDER_SIGNER_WEBHOOK__ADDRESS", "127.0.0.1:0"),
        ("WONDER_SIGNER_WEBHOOK__FORWARD_TO", "http://127.0.0.1:3000"),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY_FILE", key.path().to_str().unwrap()),
        ("WONDER_SIGNER_WEBHOOK__REDIS__URL", "redis://127.0.0.1:1"),
        ("WONDER_SIGNER_WEBHOOK__REDIS__PASSWORD_FILE", file.to_str().unwrap()),
    ];
    let running = Running::before("http://127.0.0.1:9", &variables);
    assert!(running.webhook.is_some());
    assert_eq!(running.terminate().code(), Some(0));
}
