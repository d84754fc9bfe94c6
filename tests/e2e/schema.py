"""config/schema.json and deploy/seed.schema.json with an independent validator: accepted and rejected files, and whether the program agrees.

    schema.py PROGRAM [SIMULATOR]   the second reads seeds, if the first is built without the simulator; needs the package jsonschema
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
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

UUID = "5d3c8f0a-7a11-4b57-9b1e-0f4e2d6b8c33"
TEA = {"number": "4111111111111111", "exp_month": "08", "exp_year": "31", "holder_name": "K TEA"}
# Members of one row, for each object of a seed: those that both accept, and those that both reject.
ROWS = {
    "customer": (
        [{}, {"app_id": APP_ID.upper()}, {"uuid": UUID, "email": None, "dial_code": "+852"}, {"payment_tokens": []}, {"phone": "5 5"},
         {"default_payment_method": "Alipay"}, {"default_payment_method": ""}],
        [{"nmae": "x"}, {"name": " "}, {"name": 1}, {"phone": None}, {"uuid": "x"}, {"uuid": "0" * 8 + "-0000" * 3 + "-" + "0" * 12},
         {"dial_code": "+852 85"}, {"default_payment_method": "Cash"}, {"payment_tokens": {}}, {"email": "x" * 256}],
    ),
    "payment_token": (
        [{"card": TEA}, {"alipay": {}}, {"card": None, "wechatpay": {}}, {"alipay": {}, "state": "pending"}, {"card": TEA, "default": True},
         {"card": {**TEA, "exp_year": "01"}}, {"alipay": {}, "token": UUID, "verify_uuid": ""}],
        [{}, {"card": TEA, "alipay": {}}, {"alipay": {"a": 1}}, {"card": {**TEA, "number": "4111 1111 1111 1111"}},
         {"card": {**TEA, "exp_month": "13"}}, {"card": {**TEA, "exp_year": "2031"}}, {"card": {**TEA, "cvv": "1"}}, {"card": {}},
         {"alipay": {}, "state": "done"}, {"alipay": {}, "default": "yes"}, {"alipay": {}, "token": 7}],
    ),
    "order": (
        [{}, {"number": 7}, {"number": "93000120417"}, {"charge_fee": 12.5}, {"charge_fee": "0012.50"}, {"state": "paid"}, {"state": ""},
         {"created_at": "2026-01-05T07:43:18Z"}, {"created_at": "2026-01-05"}, {"created_at": "2026-01-05T15:43:18.5+08:00"},
         {"currency": "USD"}, {"due_date": "2099-12-31"}, {"due_date": ""}, {"callback_url": "http://127.0.0.1:65535/hook?a=1"},
         {"note": "茶" * 255}, {"is_only_pre_auth": True}, {"tips": "1.00"}, {"payments": None},
         {"charge_fee": None, "line_items": [{"label": "tea", "price": "2.00", "quantity": 3, "colour": "green"}]}],
        [{"refrence_number": "x"}, {"reference_number": ""}, {"number": 0}, {"number": "x"}, {"number": 1.5}, {"number": 10**15},
         {"charge_fee": "-1"}, {"charge_fee": "1e3"}, {"charge_fee": "1,000"}, {"charge_fee": True}, {"state": "payed"},
         {"created_at": "yesterday"}, {"currency": "usd"}, {"due_date": "31.12.2099"}, {"callback_url": "shop.example/hook"},
         {"callback_url": "ftp://shop.example/"}, {"note": "x" * 256}, {"is_only_pre_auth": 1}, {"payments": {}}, {"line_items": {}},
         {"line_items": [{"label": "tea"}]}],
    ),
    "payment": (
        [{}, {"amount": 5}, {"amount": "5.00", "method": "alipay"}, {"method": ""}, {"outcome": "pending"}, {"authorize": True},
         {"voided": True}, {"uuid": UUID}, {"refunds": []}],
        [{"amount": 0}, {"amount": "0.00"}, {"amount": -1}, {"method": "cash"}, {"outcome": "maybe"}, {"authorize": "no"}, {"refunds": {}},
         {"uuid": "x"}, {"refund": []}],
    ),
    "refund": (
        [{}, {"amount": 1}, {"note": "changed mind"}, {"uuid": UUID}],
        [{"amount": None}, {"amount": "0"}, {"amount": -1}, {"amount": ""}, {"note": 1}, {"reason": "x"}],
    ),
}


def check(program, simulator):
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
    rows = check_seeds(simulator, jsonschema)
    return f"{len(files)} files, {len(settings)} keys, {compared} values and {rows} seeds on which the program agrees"


def check_seeds(simulator, jsonschema):
    """The same for seeds; returns how many were compared."""
    schema = json.loads((ROOT / "deploy/seed.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    example = (ROOT / "deploy/docs/simulator.md").read_text().split("```json\n")[1].split("```")[0]
    seeds = [(json.loads(example), True), ({}, True), ({"customers": None, "orders": []}, True)]
    seeds += [({"$schema": "seed.schema.json"}, True), ([], False), ({"order": []}, False), ({"orders": {}}, False), ({"orders": [1]}, False)]
    for kind, (good, bad) in ROWS.items():
        seeds += [(seed_with(kind, row), is_good) for rows, is_good in ((good, True), (bad, False)) for row in rows]
    seen = []
    with tempfile.TemporaryDirectory() as directory:
        for seed, is_good in seeds:
            by_schema = [error.message for error in validator.iter_errors(seed)]
            by_program = sown(simulator, pathlib.Path(directory), seed)
            if bool(by_schema) == is_good or bool(by_program) == is_good:
                seen.append(f"{json.dumps(seed)}: schema {by_schema or 'accepts'}, program {by_program or 'accepts'}")
    assert not seen, "\n".join(seen)
    return len(seeds)


def seed_with(kind, row):
    """A seed with one row of this kind that has these members."""
    customer = {"reference_number": "KTR-0042", "name": "Kestrel", "phone": "55501234"}
    order = {"reference_number": "INV-1", "charge_fee": "10.00"}
    match kind:
        case "customer":
            return {"customers": [customer | row]}
        case "payment_token":
            return {"customers": [customer | {"payment_tokens": [row]}]}
        case "order":
            return {"orders": [order | row]}
        case "payment":
            return {"orders": [order | {"payments": [row]}]}
        case "refund":
            return {"orders": [order | {"payments": [{"refunds": [{"amount": "1.00"} | row]}]}]}


def sown(program, directory, seed):
    """What the program says of a seed; nothing if it starts."""
    (directory / "seed.json").write_text(json.dumps(seed))
    ready = directory / "ready.json"
    ready.unlink(missing_ok=True)
    if not (directory / "public_key.pem").exists():
        subprocess.run([program, "keygen", "--out", directory], check=True, capture_output=True)
    words = [program, "simulate", "--plain", "--listen", "127.0.0.1:0", "--app-id", APP_ID, "--public-key-file", directory / "public_key.pem"]
    words += ["--seed", directory / "seed.json", "--ready-file", ready]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={}) as simulator:
        while simulator.poll() is None and not ready.exists():
            time.sleep(0.005)
        simulator.terminate()
        said = simulator.stderr.read()
    return "" if ready.exists() else said


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
    print(f"ok: {check(sys.argv[1], sys.argv[-1])}")
