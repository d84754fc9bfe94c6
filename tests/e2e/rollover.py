"""12 callers through a sidecar to a real nginx that often closes connections: after 50 requests each, and when it is reloaded.

    python3 tests/e2e/rollover.py PROGRAM [http2|auto|http1] [CALLS] [RELOADS]

Needs nginx and openssl. Over HTTP/2 nginx's GOAWAY shows which requests it did not process, so no call may end as `maybe`; without
reloads none may fail. No request may arrive twice.
"""

import collections
import concurrent.futures
import http.client
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import sidecar

sys.path.append(str(pathlib.Path(__file__).parent / "prometheus"))
from programs import free_port  # noqa: E402

CALLERS = 12
program, version, calls, reloads = (sys.argv[1:] + ["http2", "3600", "0"][len(sys.argv) - 2 :])[:4]
work = pathlib.Path(tempfile.mkdtemp())
work.chmod(0o755)


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{work}/tls.key", "-out", f"{work}/tls.crt", "-days", "2", "-subj",
        "/CN=nginx", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE")
front, back = free_port(), free_port()
(work / "nginx.conf").write_text(f"""
daemon off; worker_processes 2; pid {work}/pid; error_log {work}/error.log;
events {{ worker_connections 512; }}
http {{
    log_format ids '$http_x_request_id';
    client_body_temp_path {work}/a; proxy_temp_path {work}/b; fastcgi_temp_path {work}/c; uwsgi_temp_path {work}/d; scgi_temp_path {work}/e;
    server {{
        listen 127.0.0.1:{front} ssl{'' if version == 'http1' else ' http2'}; keepalive_requests 50; access_log off;
        ssl_certificate {work}/tls.crt; ssl_certificate_key {work}/tls.key;
        location / {{ proxy_pass http://127.0.0.1:{back}; }}
    }}
    server {{ listen 127.0.0.1:{back}; access_log {work}/ids.log ids; location / {{ return 200 '{{}}'; }} }}
}}""")
nginx = subprocess.Popen(["nginx", "-p", str(work), "-c", f"{work}/nginx.conf"], stderr=subprocess.DEVNULL)
settings = {"upstream.ca_file": work / "tls.crt", "upstream.http_version": version, "log.level": "off"}
signer = sidecar.Sidecar(program, f"https://127.0.0.1:{front}", settings)
listen = signer.listen
while not (work / "pid").exists():
    time.sleep(0.02)


def caller(number):
    outcomes = collections.Counter()
    connection = http.client.HTTPConnection(listen, timeout=60)
    for call in range(int(calls) // CALLERS):
        headers = {"Content-Type": "application/json", "X-Request-ID": f"{number}-{call}"}
        connection.request("POST", "/svc/a", b'{"amount":1}', headers)
        answer = connection.getresponse()
        answer.read()
        outcomes[f"{answer.status} {answer.getheader('x-wonder-signer-sent', '')}".strip()] += 1
    return outcomes


def reload():
    for _ in range(int(reloads)):
        if over.wait(0.4):
            return
        nginx.send_signal(signal.SIGHUP)


over = threading.Event()
reloader = threading.Thread(target=reload)
reloader.start()
with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
    outcomes = sum(pool.map(caller, range(CALLERS)), collections.Counter())
over.set()
reloader.join()
signer.stop()
nginx.terminate()
nginx.wait()
arrived = collections.Counter((work / "ids.log").read_text().split())
twice = [request for request, count in arrived.items() if count > 1]
print(f"{version}, {reloads} reloads: {dict(outcomes)}; {len(twice)} arrived twice")
failures = sum(outcomes.values()) - outcomes["200"]
if twice or (version != "http1" and outcomes["502 maybe"]) or (reloads == "0" and version != "http1" and failures):
    sys.exit("failed")
