"""config/schema.json with an independent validator: accepted and rejected files, and whether the program agrees.

    schema.py PROGRAM       needs the package jsonschema
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
APP_ID = "00000000-0000-4000-8000-00000000d0e5"
# Single TOML values: those that the program accepts, and those that it rejects.
VALUES = {
    "listen.address": (
        ['"[::1]:0"', '"unix:/run/a.sock"', '["127.0.0.1:0", "unix:/run/a.sock"]', '"127.0.0.1:0, [::1]:0"'],
        ['"127.0.0.1"', '"unix:relative"', '"localhost:80"', "8080", "[]"],
    ),
    "listen.socket_mode": (['"660"', '"0600"'], ['"0888"', "0o600", '"1777"', '"60"']),
    "listen.allowed_hosts": (['["a.b", "c"]', '"a.b,c"', "[]"], ["[1]", '["a/b"]', '["a:80"]', '"http://a"']),
    "listen.browser_guard": (["false"], ["1", '"no"']),
    "listen.required_header": (['"X-Shop: 1"'], ['"X-Shop"', '"X-Shop:1"', '"X Shop: 1"', "true"]),
    "admin.address": (['"127.0.0.1:0"', '"[::]:9090"'], ['"9090"', '":9090"', '"unix:/a"', "9090"]),
    "upstream.environment": (['"production"'], ['"Production"', '"test"', "1"]),
    "upstream.min_tls_version": (['"1.3"'], ['"1.1"', "1.3"]),
    "upstream.http_version": (['"auto"', '"http2"'], ['"http3"', "2"]),
    "upstream.proxy": (['"off"', '"http://u:p%40@p.in:3128"', '"p.in:3128"'], ['"socks5://p:1"', '"http://p/x"', "false"]),
    "upstream.pool_max_idle": (["0", "1024"], ["-1", "1025", "1.5"]),
    "upstream.pool_idle": (['"1h"', '"90 s"', '"1m 30s"', '"1500ms"', '"1.5s"'], ["10", '"10"', '"s"', '"-1s"', '"10 sekunden"']),
    "limits.body": (['"1b"', '"2 MiB"', '"64Mi"', '"0.5MiB"'], ['"2MB"', '"2M"', '"2"', "2", '"2 Mbit"', '"-1KiB"']),
    "limits.headers": (["10", "1000"], ["9", "1001", '"many"']),
    "timeouts.queue": (['"0s"', '"1hour"', '"2min"'], ["0", '"soon"']),
    "log.level": (['"off"', '"trace"'], ['"verbose"', '"INFO"']),
    "log.sample_success": (["0", "1", "0.25"], ["-0.1", "1.1", '"all"']),
    "process.dumpable": (["true"], ["0", '"yes"']),
    "credentials.default.app_id": ([f'"{APP_ID.upper()}"'], ['"shop"', f'"{APP_ID}0"', "1"]),
}


def check(program):
    """Raises AssertionError with the observed value; returns a summary of the comparisons."""
    import jsonschema

    schema = json.loads((ROOT / "config/schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    errors = lambda text: [error.message for error in validator.iter_errors(tomllib.loads(text))]

    files = shipped()
    for name, text in files.items():
        assert not errors(text), f"{name}: {errors(text)}"
    settings = list(uncommented((ROOT / "config/default.toml").read_text()))
    assert len(settings) == sum(1 for _ in keys(schema)), "a key is only in the schema or only in default.toml"
    for table, key, value in settings:
        line = f"[{table}]\n{key} = {value}\n"
        refused = key in ("private_key", "webhook_public_key")
        assert bool(errors(line)) == refused, f"{line}: {errors(line)}"
        misspelt = f"[{table}]\n{key}x = {value}\n"
        assert any(f"'{key}x' was unexpected" in error for error in errors(misspelt)), misspelt
        # A credential may have any name.
        misspelt = f"[{table.replace('credentials', 'credential')}x]\n{key} = {value}\n"
        assert any("was unexpected" in error for error in errors(misspelt)), misspelt

    compared, seen = 0, []
    with tempfile.TemporaryDirectory() as directory:
        for key, (good, bad) in VALUES.items():
            for value, is_good in [*((value, True) for value in good), *((value, False) for value in bad)]:
                table, last = key.rsplit(".", 1)
                text = f"[{table}]\n{last} = {value}\n"
                by_schema = errors(text)
                by_program = started(program, pathlib.Path(directory), key, text)
                compared += 1
                if bool(by_schema) == is_good or (by_program.returncode == 0) != is_good:
                    seen.append(f"{key} = {value}: schema {by_schema or 'accepts'}, program {by_program.stderr or 'accepts'}")
    assert not seen, "\n".join(seen)
    return f"{len(files)} files, {len(settings)} keys, {compared} values on which the program agrees"


def shipped():
    """Every configuration file of the repository, by its path."""
    found = {}
    for directory in ("config", "deploy"):
        for path in (ROOT / directory).rglob("*.toml"):
            found[str(path.relative_to(ROOT))] = path.read_text()
    return found


def uncommented(text):
    """Table, key and value of each key in the file of defaults, also of keys that are commented out."""
    table = None
    for line in text.splitlines():
        line = line.removeprefix("# ")
        if header := re.fullmatch(r"\[([a-z._]+)\]", line):
            table = header[1]
        elif setting := re.fullmatch(r"([a-z0-9_]+) = (.+)", line):
            yield table, setting[1], setting[2]


def keys(schema):
    """The schemas of all values."""
    for inner in [*schema.get("properties", {}).values(), *schema.get("patternProperties", {}).values()]:
        yield from keys(inner) if inner.get("type") == "object" else [inner]


def started(program, directory, key, text):
    """The result of `check` on the file, with a credential added."""
    file = directory / "sidecar.toml"
    file.write_text(text)
    if not (directory / "private_key.pem").exists():
        subprocess.run([program, "keygen", "--out", directory], check=True, capture_output=True)
    words = [program, "check", "--config", file, "--private-key-file", directory / "private_key.pem"]
    if not key.startswith("credentials."):
        words += ["--app-id", APP_ID]
    return subprocess.run(words, capture_output=True, text=True, check=False, env={})


if __name__ == "__main__":
    print(f"ok: {check(sys.argv[1])}")
