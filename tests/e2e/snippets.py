#!/usr/bin/env python3
"""The console's "same call" in curl, PHP, Node and Python is what a person pastes: each runs as it is, is signed and accepted, and sends the
bytes of the first call, also where a body or target contains what the language gives a meaning.

    unshare --net --mount tests/e2e/snippets.py PROGRAM

It has a network of its own, because the snippets call the sidecar's usual port. Needs curl, php, node and python3."""

import html.parser
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "prometheus")]
from programs import wait_for

SIDECAR, CONSOLE = "http://127.0.0.1:8080", "http://127.0.0.1:4443/console"
P = "/svc/payment/api/v1/openapi"
RUN = {"curl": ["sh", "-c"], "php": ["php", "{file}"], "node": ["node", "{file}"], "python": ["python3", "{file}"]}
FILES = {"curl": "sh", "php": "php", "node": "js", "python": "py"}
# The markers that a shell would execute write this file.
ESCAPED = pathlib.Path("/tmp/wonder-signer-snippet-escaped")

HOSTILE = (
    "it's \"quoted\" $HOME ${HOME} `touch /tmp/wonder-signer-snippet-escaped` $(touch /tmp/wonder-signer-snippet-escaped) \\ \\\\ \\n %s %n %% !! "
    "#{x} {$x} ${`x`} ?> <?php </script><script>alert(1)</script> --> ]]> &amp; &#39; \t 茶 é 🦀 \u2028 \x7f '\\'' end\\"
)
BODIES = [
    ("POST", f"{P}/echo", json.dumps({"message": HOSTILE.replace("\x7f", "")})),
    ("POST", f"{P}/echo", json.dumps({"message": HOSTILE}, ensure_ascii=False)),
    ("POST", f"{P}/echo", '{\r\n\t"message": "two\\nlines",\n\n  "more": "\'"\r\n}\n\n'),
    # No JSON: refused with 400, but signed and sent as it is. curl must not read a file here.
    ("POST", f"{P}/echo", "@/etc/hostname"),
    ("POST", f"{P}/echo", "--data @/etc/hostname"),
    ("POST", f"{P}/echo", "\n first line empty"),
    ("GET", f"{P}/customers?limit=5&x='$(id)%27%22%20&y[z]=a,b:c+d&w=;|!*~`", ""),
    ("GET", f"{P}/orders/list?filter[note][_eq]=%22it's%20%E8%8C%B6%22&limit=2", ""),
    ("DELETE", f"{P}/customers/0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10/payment_tokens", '{"token":"it\'s"}'),
]


def check(what, holds):
    if not holds:
        sys.exit(f"snippets: {what}")


class Texts(html.parser.HTMLParser):
    """The text of each <pre>, by its id or class."""

    def __init__(self, page):
        super().__init__()
        self.found, self.inside = {}, None
        # As a browser reads line ends.
        self.feed(page.replace("\r\n", "\n").replace("\r", "\n"))

    def handle_starttag(self, tag, attributes):
        if tag == "pre":
            of = dict(attributes)
            self.inside = of.get("id") or of.get("class") or "other"
            self.found[self.inside] = ""

    def handle_endtag(self, tag):
        if tag == "pre":
            self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.found[self.inside] += data


def call(number):
    with urllib.request.urlopen(f"{CONSOLE}/calls/{number}", timeout=10) as page:
        text = page.read().decode()
    return text, Texts(text).found


def send(method, target, body):
    """The bytes as they are: urllib would encode some of a target again."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=10)
    connection.putrequest(method, target)
    connection.putheader("Content-Type", "application/json")
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def main(program):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    ESCAPED.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        log = open(pathlib.Path(directory) / "log", "w")
        dev = subprocess.Popen([program, "dev", "--simulator", "127.0.0.1:4443"], stdout=log, stderr=log)
        try:
            wait_for(lambda: subprocess.run([program, "wait", "--timeout", "1s"], capture_output=True).returncode == 0, 20, "dev is ready")
            number, ran = 0, 0
            for method, target, body in BODIES:
                status = send(method, target, body.encode())
                number += 1
                page, first = call(number)
                check(f"{method} {target}: {page}", '<li class="passed">the signature fits request and key</li>' in page)
                check(f"an injected script in {page}", "<script>alert" not in page)
                for name, command in RUN.items():
                    file = pathlib.Path(directory) / f"snippet.{name}.{FILES[name]}"
                    file.write_bytes(first[name].encode())
                    words = [*command, first[name]] if name == "curl" else [word.format(file=file) for word in command]
                    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=directory)
                    number += 1
                    what = f"{name}: {method} {target} {body!r}\n{first[name]}\n{done.stdout}{done.stderr}"
                    try:
                        page, again = call(number)
                    except urllib.error.HTTPError:
                        sys.exit(f"snippets: no call arrived from {what}")
                    check(f"not accepted: {what}", '<li class="passed">the signature fits request and key</li>' in page)
                    check(f"another status than {status}: {what}", f'>{status}</span></p>' in page)
                    expected, found = first["pre-sign"], again["pre-sign"]
                    if name == "node":
                        # The URL standard encodes an apostrophe in a query.
                        head = expected.split("\n")[1]
                        expected = expected.replace(head, head.replace("'", "%27"), 1)
                    check(f"other bytes: {what}\n{expected!r}\n{found!r}", found == expected)
                    check(f"prints nothing: {what}", done.stdout.strip())
                    ran += 1
        finally:
            dev.terminate()
            dev.wait()
    check("a snippet executed a part of a body", not ESCAPED.exists())
    print(f"snippets: {ran} ran and sent the bytes of the first call")


main(str(pathlib.Path(sys.argv[1]).resolve()))
