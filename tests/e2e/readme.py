#!/usr/bin/env python3
"""Runs the commands of README's first five minutes unchanged: `dev`, a shop, an order, the payment page in Chromium, a refund, a broken call in the
console; timed.

    unshare --net --mount tests/e2e/readme.py PROGRAM

It runs in a network namespace, because README's ports are fixed. PROGRAM replaces `cargo run --release --`."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE / "prometheus")]
from browser import Browser
from programs import wait_for


def commands():
    """The shell commands of the section, in order."""
    text = (ROOT / "README.md").read_text()
    section = text.split("\n## Try it\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.S)
    return [block.strip() for block in blocks if not block.startswith("cargo test")]


def main(program):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    started = time.monotonic()
    dev, shop, order, state, refund, broken = commands()
    assert dev.startswith("cargo run --release -- dev "), dev
    dev = dev.replace("cargo run --release --", program, 1)
    processes = []
    with tempfile.TemporaryDirectory() as directory:
        log = open(pathlib.Path(directory) / "log", "w+")

        def start(command):
            processes.append(subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=ROOT, stdout=log, stderr=log))

        def ask(command):
            done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=30)
            return json.loads(done.stdout) if done.returncode == 0 and done.stdout else None

        def status():
            return (ask(state) or {}).get("status")

        try:
            start(dev)
            wait_for(lambda: subprocess.run([program, "wait", "--timeout", "1s"], capture_output=True).returncode == 0, 20, "dev is ready")
            # The shell handles the assignments before a command.
            start(f"env {shop}")
            wait_for(lambda: ask(state) is None and ask(state + " >/dev/null && echo {}") == {}, 20, "the shop answers")
            link = ask(order)["payment_link"]
            with Browser() as browser:
                browser.open(link)
                browser.press("button.act")
                wait_for(lambda: status() == "paid", 20, f"the webhook arrived: {ask(state)}")
                ask(refund)
                wait_for(lambda: status() == "partly refunded", 20, f"the refund's webhook arrived: {ask(state)}")
                assert ask(broken)["code"] == "E000004"
                log.flush()
                browser.open(re.search(r"http\S+/console", pathlib.Path(log.name).read_text())[0])
                browser.press("#calls tbody tr:first-child a")
                wait_for(lambda: browser.shows("Likely cause: The request time is 27"), 10, "the console shows the cause")
        except BaseException:
            log.seek(0)
            print(log.read()[-3000:], file=sys.stderr)
            raise
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()
    print(f"readme: order, payment, webhook, refund and a broken call, {time.monotonic() - started:.0f} s without the build")


main(os.path.realpath(sys.argv[1]))
