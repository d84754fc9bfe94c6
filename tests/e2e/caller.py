"""A caller of the gateway: creates one customer, and prints the answer, or a failed handshake, as JSON.

    caller.py REFERENCE [IDENTITY]

Runs in a container that has only Python and, in /tls, `gateway-ca.crt` and the identity's two files.
"""

import http.client
import json
import socket
import ssl
import sys

NAME = "wonder-gateway.wonder-gateway.svc"


def connect(link, authority, identity=None):
    """TLS on a connected socket, and HTTP on that. `identity`: the files of a certificate and its key."""
    context = ssl.create_default_context(cafile=authority)
    if identity:
        context.load_cert_chain(*identity)
    client = http.client.HTTPConnection(NAME)
    client.sock = context.wrap_socket(link, server_hostname=NAME)
    return client


def ask(client, target, body):
    client.request("POST", target, json.dumps(body), {"Content-Type": "application/json"})
    answer = client.getresponse()
    answer.read()
    own = {name: answer.getheader(f"X-Wonder-Signer-{name}") for name in ("Error", "Sent")}
    return {"status": answer.status, **{name.lower(): value for name, value in own.items() if value}}


def main():
    reference, *identity = sys.argv[1:]
    files = [f"/tls/{identity[0]}.{kind}" for kind in ("crt", "key")] if identity else None
    body = {"customer": {"name": "Caller", "phone": "55501234", "reference_number": reference}}
    try:
        client = connect(socket.create_connection(("127.0.0.1", 8443), 60), "/tls/gateway-ca.crt", files)
        seen = ask(client, "/svc/payment/api/v1/openapi/customers", body)
    except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected) as error:
        seen = {"refused": str(error)}
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
