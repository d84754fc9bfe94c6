"""A steady load on the sidecar of one pod, and the same number of calls straight to the simulator.

    load.py PID SECONDS RATE CA_FILE PREFIX

A process of its own, so that other parts of the test do not delay it. Prints JSON with times in milliseconds. The time added by the
sidecar is the time of a call through it minus the time of the direct call just before. The direct call is unsigned and rejected at
once, so the simulator's work counts against the sidecar.
"""

import http.client
import json
import ssl
import sys
import time

from machine import Namespace

CUSTOMERS = "/svc/payment/api/v1/openapi/customers"


def centile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def main():
    pid, seconds, rate, ca, prefix = sys.argv[1:]
    namespace, seconds, rate = Namespace(pid), float(seconds), float(rate)
    through = namespace.client(8080)
    direct = http.client.HTTPConnection("localhost", 4443)
    direct.sock = ssl.create_default_context(cafile=ca).wrap_socket(namespace.connect(4443), server_hostname="localhost")

    def call(client, body):
        began = time.perf_counter()
        client.request("POST", CUSTOMERS, body, {"Content-Type": "application/json"})
        answer = client.getresponse()
        answer.read()
        return answer.status, (time.perf_counter() - began) * 1000

    total, straight, added, statuses = [], [], [], {}
    start = time.perf_counter()
    for number in range(int(seconds * rate)):
        time.sleep(max(0.0, start + number / rate - time.perf_counter()))
        reference = f"{prefix}-{number}"
        body = json.dumps({"customer": {"name": "Load", "phone": "55501234", "reference_number": reference}})
        _, plain = call(direct, body)
        status, took = call(through, body)
        statuses[status] = statuses.get(status, 0) + 1
        total.append(took)
        straight.append(plain)
        added.append(took - plain)
    elapsed = time.perf_counter() - start
    print(
        json.dumps(
            {
                "statuses": statuses,
                "rate": len(total) / elapsed,
                "total_p50": centile(total, 0.5),
                "total_p99": centile(total, 0.99),
                "direct_p50": centile(straight, 0.5),
                "direct_p99": centile(straight, 0.99),
                "added_p50": centile(added, 0.5),
                "added_p99": centile(added, 0.99),
            }
        )
    )


if __name__ == "__main__":
    main()
