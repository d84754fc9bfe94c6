"""Causes every failure at start-up and compares its message with the table in deploy/README.md.

    startup.py PROGRAM README WORK --write      writes the table anew
"""

import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys

from authority import Authority
from machine import Failed, run

BEGIN, END = "<!-- start-up failures: begin, written by tests/e2e/startup.py -->", "<!-- start-up failures: end -->"
APP_ID = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11"
GOOD = f"""
[listen]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
[credentials.default]
app_id = "{APP_ID}"
private_key_file = "private_key.pem"
"""
CREDENTIAL = GOOD[GOOD.index("[credentials") :]
TLS = """
[listen.tls]
certificate_file = "tls.crt"
key_file = "tls.key"
client_ca_file = "ca.crt"
"""


def with_line(section, line):
    """The good configuration with one more line, or with another line for the same key."""
    key = line.split(" = ")[0]
    kept = [old for old in GOOD.splitlines() if not old.startswith(f"{key} = ") or section == "upstream"]
    if f"[{section}]" in kept:
        kept.insert(kept.index(f"[{section}]") + 1, line)
        return "\n".join(kept)
    return "\n".join([*kept, f"[{section}]", line])


# `run` starts without the files of a credential, so `check` reports their faults.
CHECK = {"command": "check"}

# The fault; the configuration; other settings; the fix.
CASES = [
    ("the ConfigMap is not mounted", None, {}, "mount it at the path that `--config` names"),
    ("no credential", GOOD.replace(CREDENTIAL, ""), {}, "set AppID and key: both, under the same name"),
    ("not TOML", GOOD + "[limits\n", {}, "correct the line that is named"),
    ("a misspelt key", with_line("limits", 'bodi = "1MiB"'), {}, "use the key that is suggested"),
    ("a misspelt variable", GOOD, {"env": {"WONDER_SIGNER_LIMITS__BODI": "1MiB"}}, "use the variable that is suggested"),
    ("a duration without its unit", with_line("timeouts", 'connect = "5"'), {}, 'write the unit: `"5s"`'),
    ("a size without its unit", with_line("limits", 'body = "5"'), {}, 'write the unit: `"5KiB"`'),
    ("a size with an ambiguous unit", with_line("limits", 'body = "2m"'), {}, "write `KiB`, `MiB` or `GiB`"),
    ("a value out of bounds", with_line("limits", 'body = "1GiB"'), {}, "stay within the bounds that are named"),
    ("AppID is not a UUID", GOOD.replace(APP_ID, "my-shop"), {}, "copy the AppID from the Wonder portal"),
    (
        "the Secret has no `app_id`",
        with_line("credentials.default", 'app_id_file = "app_id"').replace(f'app_id = "{APP_ID}"\n', ""),
        CHECK,
        "put `app_id` into the Secret",
    ),
    (
        "the Secret is not mounted",
        with_line("credentials.default", 'private_key_file = "secrets/private_key.pem"'),
        CHECK,
        "create the Secret `wonder-signer-key`; look at the volume",
    ),
    (
        "the key is for another user",
        GOOD,
        {**CHECK, "key": "good", "mode": 0o600, "user": 65532},
        "in Kubernetes keep `runAsGroup: 0` and `defaultMode: 0440`; elsewhere change the owner",
    ),
    ("the key is still base64", GOOD, {**CHECK, "key": "base64"}, "decode it: `data` of a Secret is base64, `stringData` is not"),
    ("the key is binary", GOOD, {**CHECK, "key": "der"}, "`openssl pkey -inform DER -in private_key.der -out private_key.pem`"),
    ("the key is cut short", GOOD, {**CHECK, "key": "cut"}, "copy it once more, whole"),
    ("the public key was given", GOOD, {**CHECK, "key": "public"}, "give the other file"),
    ("the key has a passphrase", GOOD, {**CHECK, "key": "encrypted"}, "`openssl pkey -in private_key.pem -out plain.pem`"),
    ("the key is not RSA", GOOD, {**CHECK, "key": "ec"}, "Wonder takes RSA: `wonder-signer keygen --out keys`"),
    (
        "the key has 2047 bits, as sample keys that circulate",
        GOOD,
        {**CHECK, "key": "sample"},
        "make a new pair with `wonder-signer keygen --out keys`, and a new AppID for it in the Wonder portal",
    ),
    ("the key is in the file", with_line("credentials.default", 'private_key = "…"'), {}, "use `private_key_file`"),
    (
        "the signing port is taken",
        with_line("listen", 'address = "127.0.0.1:18080"'),
        {"taken": 18080},
        "another container of the pod has it: change `listen.address` and the service's URL",
    ),
    (
        "the admin port is taken",
        GOOD.replace('[admin]\naddress = "127.0.0.1:0"', '[admin]\naddress = "127.0.0.1:19090"'),
        {"taken": 19090},
        "change `admin.address`, the probes' port and the container's port",
    ),
    (
        "the signing listener is not on loopback",
        with_line("listen", 'address = "0.0.0.0:8080"').replace('[admin]\n', '[admin]\naddress = "127.0.0.1:0"\n'),
        {},
        "leave it on 127.0.0.1: the containers of a pod share it",
    ),
    ("no origin", with_line("upstream", 'environment = "custom"'), {}, "set `upstream.origin`, or use staging or production"),
    (
        "an origin, but not custom",
        with_line("upstream", 'origin = "https://127.0.0.1:4443"'),
        {},
        "set `upstream.environment` to custom, or remove the origin",
    ),
    (
        "an origin with a path",
        with_line("upstream", 'environment = "custom"\norigin = "https://127.0.0.1:4443/api"'),
        {},
        "leave the path out: the service sends it",
    ),
    ("the CA file is missing", with_line("upstream", 'ca_file = "ca.pem"'), {}, "mount it; Wonder itself needs none"),
    ("the CA file has no certificate", with_line("upstream", 'ca_file = "empty.pem"'), {}, "give a PEM certificate"),
    (
        "part of `[listen.tls]`",
        GOOD + TLS.replace('client_ca_file = "ca.crt"\n', ""),
        {},
        "set all three files: without the callers' authority anyone could have requests signed",
    ),
    (
        "the gateway has no name of its own",
        with_line("listen", 'address = "0.0.0.0:8443"\ndangerous_allow_non_loopback = true') + TLS,
        {},
        "name the Service as callers write it",
    ),
    ("a caller's name is empty", GOOD + TLS + 'callers = [""]\n', {}, "name each caller by the first DNS name of its certificate"),
    (
        "the Secret has no `tls.crt`",
        GOOD + TLS.replace("tls.crt", "tls/tls.crt"),
        {},
        "create the Secret `wonder-gateway-tls` with `tls.crt`, `tls.key` and `ca.crt`",
    ),
    ("`tls.crt` holds no certificate", GOOD + TLS.replace("tls.crt", "empty.pem"), {}, "put the chain there as PEM, the server's own first"),
    ("`tls.crt` is damaged", GOOD + TLS.replace("tls.crt", "damaged.crt"), {}, "copy it once more, whole"),
    ("`tls.key` is missing", GOOD + TLS.replace("tls.key", "tls/tls.key"), {}, "put it into the Secret `wonder-gateway-tls`"),
    (
        "`tls.key` is for another user",
        GOOD + TLS,
        {"user": 65532, "tls_mode": 0o600},
        "keep `fsGroup: 65532` and `defaultMode: 0440`",
    ),
    (
        "`tls.key` has a passphrase",
        GOOD + TLS.replace("tls.key", "encrypted.key"),
        {},
        "`openssl pkey -in tls.key -out plain.key`",
    ),
    (
        "`tls.key` belongs to another certificate",
        GOOD + TLS.replace("tls.key", "ca.key"),
        {},
        "take both from the same renewal: `openssl x509 -noout -pubkey -in tls.crt` and `openssl pkey -pubout -in tls.key` say the same",
    ),
    ("`ca.crt` is missing", GOOD + TLS.replace("ca.crt", "tls/ca.crt"), {}, "put the authority of the callers' certificates there"),
    ("`ca.crt` holds no certificate", GOOD + TLS.replace("ca.crt", "empty.pem"), {}, "put the authority of the callers' certificates there"),
    (
        "the clock is before 1970",
        GOOD,
        {"under": ["/usr/bin/faketime", "1960-01-01 00:00:00"]},
        "wait until the node has the time; `timedatectl` says whether it has",
    ),
    (
        "there is no thread to be had",
        GOOD,
        {"under": ["/usr/bin/prlimit", "--nproc=1"], "user": 61380, "env": {"TOKIO_WORKER_THREADS": "2"}},
        "raise the pod's `podPidsLimit`, or end what uses it up",
    ),
    ("a misspelt flag", GOOD, {"flags": ["--confg", "x"]}, "use the flag that is suggested"),
]


def make_keys(directory):
    """Makes every kind of wrong key file."""
    openssl = lambda *words: run("openssl", *words)
    rsa = lambda name, bits: openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}", "-out", name)
    made = lambda name: directory / f"{name}.key"
    rsa(made("good"), 2048)
    rsa(made("sample"), 2047)
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", made("ec"))
    openssl("pkey", "-in", made("good"), "-pubout", "-out", made("public"))
    openssl("pkey", "-in", made("good"), "-aes256", "-passout", "pass:example", "-out", made("encrypted"))
    openssl("pkey", "-in", made("good"), "-outform", "DER", "-out", made("der"))
    made("cut").write_text(made("good").read_text()[:1000])
    openssl("base64", "-in", made("good"), "-out", made("base64"))
    authority = Authority(directory / "tls", "ca")
    certificate, _ = authority.issue("tls", "wonder-gateway.wonder-gateway.svc")
    shutil.copy(made("encrypted"), directory / "tls/encrypted.key")
    lines = certificate.read_text().splitlines(keepends=True)
    (directory / "tls/damaged.crt").write_text("".join([*lines[:3], *lines[-1:]]))
    (directory / "tls/empty.pem").write_text("\n")


def cause(program, work, configuration, more):
    """Starts the program with the fault in a directory of its own; returns its exit code and its one line."""
    if work.exists():
        shutil.rmtree(work)
    work.mkdir()
    os.chmod(work, 0o755)
    keys = work.parent / "startup-keys"
    shutil.copy(keys / f"{more.get('key', 'good')}.key", work / "private_key.pem")
    os.chmod(work / "private_key.pem", more.get("mode", 0o444 if "user" in more else 0o600))
    for file in (keys / "tls").iterdir():
        shutil.copy(file, work)
        os.chmod(work / file.name, more.get("tls_mode", 0o644) if file.suffix == ".key" else 0o644)
    if configuration is not None:
        (work / "sidecar.toml").write_text(configuration)
        os.chmod(work / "sidecar.toml", 0o644)
    taken = socket.socket()
    if "taken" in more:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", more["taken"]))
        taken.listen()
    words = [*more.get("under", []), program, more.get("command", "run"), "--config", "sidecar.toml", *more.get("flags", [])]
    identity = {"user": more["user"], "group": more["user"], "extra_groups": []} if "user" in more else {}
    try:
        done = subprocess.run(
            words, cwd=work, env=more.get("env", {}), timeout=10, text=True, capture_output=True, check=False, **identity
        )
    except subprocess.TimeoutExpired:
        raise Failed("it started instead of failing") from None
    finally:
        taken.close()
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    if len(lines) != 1:
        raise Failed(f"{len(lines)} lines instead of one: {done.stderr}")
    return done.returncode, lines[0]


def is_static(program):
    """Whether the program is static (ELF without PT_INTERP), so that faketime cannot preload a library."""
    return b"/ld-linux" not in program.read_bytes()[:4096]


def table(program, work, documented):
    """Causes every failure. A failure that cannot be caused in this program keeps its documented row."""
    # Made once, and again if this file changes, because it lists the keys.
    keys = work.parent / f"startup-keys-{hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:10]}"
    if not keys.exists():
        # Renamed when complete, so that the leftovers of an interrupted run are not used.
        made = keys.with_name("startup-keys.new")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        make_keys(made)
        made.rename(keys)
    # A copy that every user may run, because the build directory may be closed to other users.
    place = pathlib.Path("/tmp") / f"wonder-e2e-startup-{os.getpid()}"
    place.mkdir()
    try:
        shutil.copy(program, place / "wonder-signer")
        os.chmod(place, 0o755)
        shutil.copytree(keys, place / "startup-keys")
        rows = ["| What is wrong | Exit | What it says | Fix |", "|---|---|---|---|"]
        for what, configuration, more, fix in CASES:
            if "/usr/bin/faketime" in more.get("under", []) and is_static(program):
                kept = [row for row in documented.splitlines() if row.startswith(f"| {what} |")]
                if not kept:
                    raise Failed(f"{what}: not in README.md, and only a dynamic program can fail this way")
                rows += kept
                continue
            try:
                code, line = cause(place / "wonder-signer", place / "work", configuration, more)
            except Failed as failed:
                raise Failed(f"{what}: {failed}") from None
            escaped = line.replace("|", "\\|")
            # Two back quotes, in case the line contains one.
            shown = "`no_key`" if more.get("command") == "check" else code
            rows.append(f"| {what} | {shown} | ``{escaped}`` | {fix} |")
        return "\n".join(rows)
    finally:
        shutil.rmtree(place)


def compare(program, readme, work, write=False):
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    documented, after = rest.split(END)
    now = table(program, work, documented)
    if write:
        readme.write_text(f"{before}{BEGIN}\n{now}\n{END}{after}")
    elif documented.strip() != now:
        new = [line for line in now.splitlines() if line not in documented]
        raise Failed("run startup.py --write; not in README.md: " + " ".join(new))
    note = " except that of the clock, because faketime cannot preload into a static program" if is_static(program) else ""
    return f"{len(CASES)} failures, all caused{note}"


if __name__ == "__main__":
    print(compare(*map(pathlib.Path, sys.argv[1:4]), write="--write" in sys.argv))
