"""Python's most used HTTP package, requests."""

import sys

import requests

origin, method, target = sys.argv[1:4]
body = open(sys.argv[4], "rb").read() if method == "POST" else None
response = requests.request(method, origin + target, data=body, headers={"Content-Type": "application/json"}, timeout=20)
print(response.status_code, "HTTP/1.1" if response.raw.version == 11 else response.raw.version)
sys.stdout.flush()
sys.stdout.buffer.write(response.content)
