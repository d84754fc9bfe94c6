"""The samples of deploy/docs/webhooks.md, in Node, PHP and Python: they accept every known webhook, and reject every changed one.

    python3 tests/e2e/webhook_samples.py
"""

import base64
import json
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "deploy/docs/webhooks.md").read_text()
VECTORS = json.loads((ROOT / "tests/vectors/wonder-webhook.json").read_text())["deliveries"]
KEYS = json.loads((ROOT / "tests/vectors/wonder-rsa-sha256.json").read_text())["keys"]
APP_ID = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11"

RUNNERS = {
    "js": ("sample.mjs", ["node"], """
import {readFileSync} from 'node:fs'
const said = JSON.parse(readFileSync(0)).map(one => signedByWonder(one.target, one.headers, Buffer.from(one.body, 'base64'),
  {appId: one.app_id, publicKey: one.public_key, now: one.now * 1000}))
console.log(JSON.stringify(said))
"""),
    "php": ("sample.php", ["php"], """
$said = [];
foreach (json_decode(stream_get_contents(STDIN), true) as $one) {
    $said[] = signed_by_wonder($one['target'], $one['headers'], base64_decode($one['body']), $one['app_id'], $one['public_key'], $one['now']);
}
echo json_encode($said);
"""),
    "python": ("sample.py", ["python3"], """
import json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
print(json.dumps([
    signed_by_wonder(one["target"], one["headers"], base64.b64decode(one["body"]), one["app_id"],
                     load_pem_public_key(one["public_key"].encode()), datetime.fromtimestamp(one["now"], timezone.utc))
    for one in json.load(sys.stdin)
]))
"""),
}


def seconds(time):
    from datetime import datetime, timezone
    return int(datetime.strptime(time, "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc).timestamp())


def cases():
    """Every signed webhook and each attack, with the expected verdict."""
    for vector in VECTORS:
        app_id, time, algorithm = vector["credential"].split("/")
        right = {
            "target": vector["target"],
            "headers": {name: vector[name] for name in ("credential", "nonce", "signature")},
            "body": vector["body_base64"],
            "app_id": APP_ID,
            "public_key": KEYS[vector["key"]]["public_key_pem"],
            "now": seconds(time),
        }
        body = base64.b64decode(vector["body_base64"])
        header = lambda name, value: {"headers": right["headers"] | {name: value}}
        yield "right", right, True
        yield "at the tolerance", right | {"now": right["now"] + 88_200}, True
        for what, change in {
            "another target": {"target": vector["target"] + "&x=1"},
            "a changed body": {"body": base64.b64encode(body + b" ").decode()},
            "an empty body": {"body": ""},
            "another AppID of ours": {"app_id": APP_ID[:-1] + "2"},
            "another AppID": header("credential", f"{APP_ID[:-1]}2/{time}/{algorithm}"),
            "another time": header("credential", f"{app_id}/{int(time) + 1}/{algorithm}"),
            "another algorithm": header("credential", f"{app_id}/{time}/Wonder-HMAC-SHA256"),
            "two parts": header("credential", f"{app_id}/{time}"),
            "four parts": header("credential", vector["credential"] + "/x"),
            "another nonce": header("nonce", "0" * 16),
            "a line end in the nonce": header("nonce", vector["nonce"] + "\n"),
            "another signature": header("signature", VECTORS[0 if vector is not VECTORS[0] else 1]["signature"]),
            "no base64": header("signature", "!"),
            "an empty signature": header("signature", ""),
            "no signature": {"headers": {name: value for name, value in right["headers"].items() if name != "signature"}},
            "another key": {"public_key": KEYS["rsa2048-pkcs8"]["public_key_pem"]},
            "too old": {"now": right["now"] + 88_201},
            "in the future": {"now": right["now"] - 1801},
            "no time": header("credential", f"{app_id}/2026-02-14T09/{algorithm}"),
        }.items():
            yield f"{vector['name']}: {what}", right | change, False


def main():
    asked = list(cases())
    for language, (name, command, driver) in RUNNERS.items():
        [sample] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / name
            path.write_text(("<?php\n" if language == "php" else "") + sample + driver)
            run = subprocess.run([*command, str(path)], input=json.dumps([one for _, one, _ in asked]), text=True,
                                 capture_output=True, check=False)
        assert run.returncode == 0 and not run.stderr, f"{language}: {run.stderr}{run.stdout}"
        said = json.loads(run.stdout)
        wrong = [what for (what, _, right), verdict in zip(asked, said, strict=True) if verdict is not right]
        assert not wrong, f"{language}: {wrong}"
        print(f"{language}: {len(said)} webhooks, each with the right verdict")


if __name__ == "__main__":
    main()
