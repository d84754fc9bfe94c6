//! Help, and invalid arguments.

use crate::run;

#[cfg(feature = "simulator")]
const COMMANDS: &[&str] =
    &["run", "dev", "simulate", "check", "sign", "send-webhook", "verify", "keygen", "wait", "rotate", "shutdown"];
#[cfg(not(feature = "simulator"))]
const COMMANDS: &[&str] = &["run", "check", "sign", "verify", "keygen", "wait", "rotate", "shutdown"];

/// Texts of its pages, style and script.
#[test]
fn only_a_program_with_the_simulator_contains_the_console() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_wonder-signer")).unwrap();
    for text in
        ["local Wonder", "/console/reset", "Forget everything", "ol.steps", "new EventSource(\"/simulator/events\")"]
    {
        let is_there = program.windows(text.len()).any(|window| window == text.as_bytes());
        assert_eq!(is_there, cfg!(feature = "simulator"), "{text}");
    }
}

#[cfg(not(feature = "simulator"))]
#[test]
fn a_simulator_command_names_the_build_that_includes_it() {
    for (command, more) in
        [("dev", &[][..]), ("simulate", &["--help"]), ("simulate", &["--app-id", "x"]), ("send-webhook", &[])]
    {
        run(&[&[command], more].concat(), b"").failed(
            64,
            &format!(
                "usage: {command} is not in this program, which is built without the simulator; use the image \
                 wonder-simulator, or a build with the cargo feature simulator; try --help"
            ),
        );
    }
    let help = run(&["--help"], b"").done();
    assert!(!help.contains("dev") && !help.contains("simulat"), "{help}");
}

#[cfg(feature = "simulator")]
#[test]
fn the_simulator_is_suggested_for_a_misspelt_name() {
    run(&["simulator"], b"").failed(64, "usage: no such command (did you mean simulate?); try --help");
}

#[test]
fn bad_usage_is_one_line_and_64() {
    run(&[], b"").failed_with(64, "usage: 'wonder-signer' requires a subcommand");
    let all = COMMANDS.join(", ");
    run(&["nonsense"], b"").failed(64, &format!("usage: no such command; the commands are {all}; try --help"));
    for (typed, meant) in [("chek", "check"), ("keygenn", "keygen"), ("verfy", "verify")] {
        run(&[typed], b"").failed(64, &format!("usage: no such command (did you mean {meant}?); try --help"));
    }
    run(&["sign", "--method", "GET"], b"").failed(
        64,
        "usage: the following required arguments were not provided: --app-id <UUID> --private-key-file <FILE> \
         --target <TARGET>; try --help",
    );
    for (option, value, reason) in [
        ("--app-id <UUID>", "844bcde8", "the AppID is not a UUID (8-4-4-4-12 hex digits)"),
        ("--method <METHOD>", "GE T", "is not an HTTP method such as GET or POST"),
        ("--target <TARGET>", "svc/x", "must start with /: write path and query without scheme and host"),
        (
            "--target <TARGET>",
            "/svc/汉",
            "must have visible ASCII only: percent-encode other characters as the client does",
        ),
        (
            "--target <TARGET>",
            "/svc/a b",
            "must have visible ASCII only: percent-encode other characters as the client does",
        ),
        ("--target <TARGET>", "/svc/a#b", "must not have a fragment, because clients do not send it: write # as %23"),
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
    for command in ["wait", "rotate", "shutdown"] {
        run(&[command, "--timeout", "5"], b"")
            .failed(64, "usage: --timeout <DURATION>: has no unit; write for example \"5s\" or \"250ms\"; try --help");
    }
}

#[test]
fn a_stray_word_is_named_by_its_position_and_not_repeated() {
    let rule = "write --option=VALUE for a value that begins with a dash, and quote one that has spaces or & in it; try --help";
    run(&["keygen", "keys"], b"").failed(
        64,
        &format!(
            "usage: keygen takes options only, but word 2 after the program's name belongs to no option (did you mean --out \
             before it?); {rule}"
        ),
    );
    for (arguments, place) in [(&["sign", "4111"][..], 2), (&["wait", "--once", "4111"], 3), (&["run", "4111"], 2)] {
        let command = arguments[0];
        run(arguments, b"").failed(
            64,
            &format!(
                "usage: {command} takes options only, but word {place} after the program's name belongs to no option; {rule}"
            ),
        );
    }
}

#[test]
fn an_invalid_address_is_answered_with_an_example_for_the_option() {
    #[cfg(feature = "simulator")]
    let simulate = ["--app-id", "844bcde8-3a40-4b0f-8ec5-4cb7ef621538", "--public-key-file", "x"];
    for (command, option, more, example) in [
        ("wait", "--admin", &[][..], "127.0.0.1:9090"),
        ("shutdown", "--admin", &[], "127.0.0.1:9090"),
        #[cfg(feature = "simulator")]
        ("dev", "--admin", &[], "127.0.0.1:9090"),
        #[cfg(feature = "simulator")]
        ("dev", "--simulator", &[], "127.0.0.1:4443"),
        #[cfg(feature = "simulator")]
        ("simulate", "--listen", &simulate, "127.0.0.1:4443"),
    ] {
        for value in ["nowhere", "localhost:9090", "9090", "127.0.0.1", "http://127.0.0.1:9090", ""] {
            let arguments = [&[command, option, value], more].concat();
            run(&arguments, b"").failed(
                64,
                &format!(
                    "usage: {option} <ADDRESS>: not an IP address with port; write for example {example}; try --help"
                ),
            );
        }
    }
    for command in ["run", "check"] {
        for (option, key, example) in
            [("--listen", "listen.address", "127.0.0.1:8080"), ("--admin", "admin.address", "127.0.0.1:9090")]
        {
            run(&[command, option, "8080"], b"").failed(
                64,
                &format!(
                    "configuration: {key} = \"8080\" (from flag {option}): not an IP address with port; write for example \
                     \"{example}\""
                ),
            );
        }
    }
}

/// Lines that people paste into zsh. It rejects a word with `?` or `*` that matches no file, where sh keeps the word.
#[test]
fn lines_to_paste_work_in_zsh() {
    let mut curls = 0;
    for text in [
        include_str!("../../README.md"),
        include_str!("../../deploy/README.md"),
        include_str!("../../deploy/runbook.md"),
    ] {
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("curl ")) {
            curls += 1;
            let outside: String = line.split('\'').step_by(2).collect();
            assert!(!outside.contains(['?', '*', '[', '&', '{', '~', '=']), "{line}");
        }
    }
    assert!(curls > 1);
}

#[test]
fn the_help_of_every_command_has_an_example() {
    for command in COMMANDS {
        let help = run(&[command, "--help"], b"").done();
        let example = help.split("\nExample:\n").nth(1).unwrap_or_default();
        assert!(example.contains(&format!("  wonder-signer {command}")), "{help}");
    }
    assert!(run(&["--help"], b"").done().contains("\nCommands:\n"));
    assert_eq!(run(&["--version"], b"").done(), format!("wonder-signer {}\n", env!("CARGO_PKG_VERSION")));
}
