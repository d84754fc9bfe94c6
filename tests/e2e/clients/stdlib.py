"""Python's standard library: http.client for GET and urllib for POST."""

import http.client
import sys
import urllib.request
from urllib.parse import urlsplit

origin, method, target = sys.argv[1:4]
if method == "POST":
    body = open(sys.argv[4], "rb").read()
    request = urllib.request.Request(origin + target, data=body, headers={"Content-Type": "application/json"})
    response = urllib.request.urlopen(request, timeout=20)
else:
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=20)
    connection.request(method, target)
    response = connection.getresponse()
print(response.status, "HTTP/1.1" if response.version == 11 else response.version)
sys.stdout.flush()
sys.stdout.buffer.write(response.read())
