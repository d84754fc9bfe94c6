"""A Job: creates the customers whose references are its arguments, through the sidecar, and ends.

With END_SIDECAR=yes it also requests the sidecar's shutdown, for clusters without native sidecars.
"""

import http.client
import os
import sys
import time

import signup


def end_sidecar():
    connection = http.client.HTTPConnection("127.0.0.1", 9090, timeout=5)
    connection.request("POST", "/shutdown", headers={"X-Wonder-Signer-Shutdown": "yes"})
    status = connection.getresponse().status
    connection.close()
    if status != 202:
        raise SystemExit(f"the sidecar does not end: status {status}")


def create(reference):
    # The kubelet starts us when the sidecar is ready; elsewhere it may be a moment behind. `sent: no` is safe to repeat.
    for _ in range(100):
        try:
            return signup.create_customer("Imported", "55501234", reference)
        except signup.Outcome as outcome:
            if outcome.body.get("sent") != "no":
                raise
            time.sleep(0.1)
    raise SystemExit("the sidecar is not there")


def main():
    try:
        for reference in sys.argv[1:]:
            create(reference)
    finally:
        if os.environ.get("END_SIDECAR") == "yes":
            end_sidecar()


if __name__ == "__main__":
    main()
