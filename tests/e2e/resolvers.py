"""No forwarded target leads out of /svc/, or into /svc/payment/public/, for any program that resolves it.

    resolvers.py PROGRAM [TARGETS [SEED]]     the built wonder-signer; needs nginx, node and java

Builds targets from pieces that programs read differently, sends each through wonder-signer, and resolves the forwarded targets with
nginx, Python, Java and Node in their usual forms: as received, decoded once and decoded twice.
"""

import pathlib
import posixpath
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

from attacks import Signer, Upstream

PIECES = [
    "/", "/", "/", "//", "/..", "/..", "/../", "..", "..", ".", "a", "b", "payment", "public", "Public", "svc", "admin", "%2e", "%2E", "%252e", "%2f",
    "%2F", "%252f", "%5c", "%5C", "%255c", ";", ";x=1", "%3b", "%20", "%09", "%00", "%3f", "%23", "%25", "%c0%ae", "%70ublic", "é", ":", "@",
    "~", "*", "%", "%%32%65", "%2525", "...", "+", "|", "^", "{",
    "%25252e", "%25252f", "%25255c", "%c0%af", "%c1%9c", "%e0%80%ae", "%u002e", "%u002f", "%ef%bc%8e", "．", "%7f",
]  # fmt: skip
NGINX = """
daemon off; error_log /dev/null; pid nginx.pid; worker_processes 1; events { worker_connections 64; }
http { access_log off; client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
  keepalive_requests 10000000; keepalive_timeout 1h; default_type text/plain;
  server { listen unix:WORK/merging; location / { return 200 "$uri"; } }
  server { listen unix:WORK/plain; merge_slashes off; location / { return 200 "$uri"; } } }
"""
NODE = """
const path = require('path'), lines = require('fs').readFileSync(0, 'utf8').trim().split('\\n');
const decoded = (p) => { try { return decodeURIComponent(p); } catch { return null; } };
for (const line of lines) {
  const texts = [line, decoded(line), decoded(decoded(line) ?? '%')].filter((text) => text !== null);
  const found = texts.flatMap((text) => {
    const all = [path.posix.normalize(text), path.win32.normalize(text).replaceAll('\\\\', '/')];
    try { all.push(new URL('http://h' + text).pathname); } catch {}
    try { all.push(new URL(text, 'http://h/').pathname); } catch {}
    return all;
  });
  console.log(JSON.stringify(found));
}
"""
JAVA = """
import java.net.*; import java.nio.charset.StandardCharsets; import java.nio.file.*; import java.util.*; import java.io.*;
public class Resolve {
  static String decoded(String p) { try { return p == null ? null : URLDecoder.decode(p, StandardCharsets.UTF_8); } catch (Exception e) { return null; } }
  static String quoted(String t) { return '"' + t.replace("\\\\", "\\\\\\\\").replace("\\"", "\\\\\\"").replaceAll("[\\\\x00-\\\\x1f]", " ") + '"'; }
  public static void main(String[] a) throws Exception {
    var out = new PrintStream(System.out, true, "UTF-8");
    for (String line : new BufferedReader(new InputStreamReader(System.in, "UTF-8")).lines().toList()) {
      var found = new ArrayList<String>();
      var once = decoded(line);
      for (String text : Arrays.asList(line, once, decoded(once))) {
        if (text == null) continue;
        for (String cut : new String[] { text, text.replaceAll(";[^/]*", "") }) {
          try { found.add(Path.of(cut).normalize().toString()); } catch (Exception e) {}
          try { found.add(new URI("http://h" + cut).normalize().getPath()); } catch (Exception e) {}
          try { found.add(new URI("http", "h", cut, null).normalize().getRawPath()); } catch (Exception e) {}
        }
      }
      out.println("[" + String.join(",", found.stream().map(Resolve::quoted).toList()) + "]");
    }
  }
}
"""


def in_python(target):
    found, text = [], target
    for _ in range(3):
        for cut in [text, text.replace("\\", "/")]:
            found.append(posixpath.normpath(cut))
            found.append(urllib.parse.urlsplit(urllib.parse.urljoin("http://h/", cut)).path)
        text = urllib.parse.unquote(text, errors="replace")
    return found


def is_inside(path):
    # Some programs leave a part unresolved.
    segments = [segment for segment in posixpath.normpath(path.lower()).split("/") if segment]
    return segments[:1] == ["svc"] and segments[1:3] != ["payment", "public"]


class Connection:
    """Sends targets in sequence, and returns status and body."""

    def __init__(self, family, address):
        self.family, self.address, self.stream = family, address, None

    def ask(self, target):
        for _ in range(2):
            if self.stream is None:
                self.stream = socket.socket(self.family)
                self.stream.connect(self.address)
                self.file = self.stream.makefile("rb")
            self.stream.sendall(b"GET " + target.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = self.file.readline()
            if head:
                break
            self.stream = None
        length, close = 0, False
        for line in iter(self.file.readline, b"\r\n"):
            name, value = line.lower().split(b":", 1)
            length = int(value) if name == b"content-length" else length
            close = close or (name, value.strip()) == (b"connection", b"close")
        body = self.file.read(length)
        if close:
            self.stream = None
        return int(head.split()[1]), body.decode(errors="replace")


def nginx(work):
    (work / "nginx.conf").write_text(NGINX.replace("WORK", str(work)))
    process = subprocess.Popen(["nginx", "-p", f"{work}/", "-c", "nginx.conf"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(1000):
        if (work / "plain").exists() and (work / "nginx.pid").exists():
            return process
        time.sleep(0.01)
    process.kill()
    raise SystemExit("nginx does not start")


def lines_of(words, targets):
    done = subprocess.run(words, input="\n".join(targets) + "\n", capture_output=True, text=True, check=True, timeout=300)
    rows = [eval(line, {"null": None}) for line in done.stdout.splitlines()]  # noqa: S307 (lists of texts, of our own programs)
    assert len(rows) == len(targets), (words, len(rows), len(targets))
    return rows


def main(program, number, seed):
    chance = random.Random(seed)
    targets = ["/svc/" + "".join(chance.choices(PIECES, k=chance.randint(1, 9))) for _ in range(number)]
    targets += ["/svc/a%5cb/../../admin", "/svc/a%2fb/../../admin", "/svc/a/../b", "/svc/payment/public/x"]
    work = pathlib.Path(tempfile.mkdtemp())
    server = None
    try:
        (work / "t").mkdir()
        (work / "Resolve.java").write_text(JAVA)
        upstream = Upstream()
        with Signer(program, upstream) as signer:
            host, port = signer.listen.rsplit(":", 1)
            caller = Connection(socket.AF_INET, (host, int(port)))
            answers = {target: caller.ask(target)[0] for target in dict.fromkeys(targets)}
        forwarded = [target for target, status in answers.items() if status == 200]
        server = nginx(work)
        merging, plain = (Connection(socket.AF_UNIX, str(work / name)) for name in ["merging", "plain"])
        resolved = {
            "nginx": [[body for status, body in [one.ask(target) for one in (merging, plain)] if status == 200] for target in forwarded],
            "Python": [in_python(target) for target in forwarded],
            "Node": lines_of(["node", "-e", NODE], forwarded),
            "Java": lines_of(["java", str(work / "Resolve.java")], forwarded),
        }
    finally:
        if server:
            server.terminate()
            server.wait()
        shutil.rmtree(work, ignore_errors=True)
    wrong = []
    for name, rows in resolved.items():
        paths = sum(map(len, rows))
        out = [(target, path) for target, found in zip(forwarded, rows) for path in found if not is_inside(path)]
        wrong += [f"{name}: {target} -> {path}" for target, path in out]
        print(f"{name}: {len(forwarded)} targets resolved in {paths} ways, {len(out)} lead out")
        assert paths >= len(forwarded)
    refused = {status: list(answers.values()).count(status) for status in sorted(set(answers.values()))}
    print(f"seed {seed}: {len(answers)} targets, by status {refused}")
    assert len(forwarded) * 10 > len(answers), "too few targets are forwarded for a meaningful test"
    print("\n".join(wrong[:40]) if wrong else "passed")
    return bool(wrong)


if __name__ == "__main__":
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 3000, seed))
