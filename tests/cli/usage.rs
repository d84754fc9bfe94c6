//! Help, and arguments that are not understood.

use crate::run;

#[test]
fn bad_usage_is_one_line_and_64() {
    run(&[], b"").failed_with(64, "usage: 'wonder-signer' requires a subcommand");
    run(&["nonsense"], b"").failed(64, "usage: no such command; try --help");
    run(&["sign", "--method", "GET"], b"").failed(
        64,
        "usage: the following required arguments were not provided: --app-id <UUID> --private-key-file <FILE> \
         --target <TARGET>; try --help",
    );
    for (option, value, reason) in [
        ("--app-id <UUID>", "844bcde8", "the AppID is not a UUID (8-4-4-4-12 hex digits)"),
        ("--method <METHOD>", "GE T", "is not an HTTP method such as GET or POST"),
        ("--target <TARGET>", "svc/x", "must start with /: give path and query without scheme and host"),
        ("--target <TARGET>", "/svc/汉", "must hold visible ASCII only: percent-encode the rest as it will be sent"),
        ("--target <TARGET>", "/svc/a b", "must hold visible ASCII only: percent-encode the rest as it will be sent"),
        ("--target <TARGET>", "/svc/a#b", "must not have a fragment, which is never sent: write # as %23"),
        ("--nonce <NONCE>", "-short", "the nonce is not 16 characters of 0-9, A-Z, a-z"),
        (
            "--request-time <YYYYMMDDhhmmss>",
            "2024050112",
            "the request time is not a UTC time of the form yyyymmddHHMMSS",
        ),
    ] {
        let name = option.split(' ').next().unwrap();
        run(&["sign", name, value], b"").failed(64, &format!("usage: {option}: {reason}; try --help"));
    }
    run(&["sign", "--taget=/svc/x?card=4111"], b"")
        .failed(64, "usage: unexpected argument --taget (did you mean --target?); try --help");
    run(&["sign", "4111"], b"")
        .failed(64, "usage: a value that belongs to no option (write --option=VALUE for one that begins with a dash; quote one that has spaces or & in it); try --help");
    run(&["wait", "--admin", "nowhere"], b"")
        .failed(64, "usage: --admin <ADDRESS>: invalid socket address syntax; try --help");
    assert_eq!(run(&["wait", "--timeout", "soon"], b"").code, Some(64));
}

#[test]
fn every_command_helps_with_an_example() {
    for command in ["run", "dev", "simulate", "check", "sign", "verify", "keygen", "wait"] {
        let help = run(&[command, "--help"], b"").done();
        let example = help.split("\nExample:\n").nth(1).unwrap_or_default();
        assert!(example.contains(&format!("  wonder-signer {command}")), "{help}");
    }
    assert!(run(&["--help"], b"").done().contains("\nCommands:\n"));
    assert_eq!(run(&["--version"], b"").done(), format!("wonder-signer {}\n", env!("CARGO_PKG_VERSION")));
}
