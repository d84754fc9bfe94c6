"""A test Prometheus: scrapes every 2 seconds, evaluates the rules every second, answers queries."""

import json
import re
import signal
import subprocess
import urllib.error
import urllib.parse

from programs import fetch, free_port, wait_for

RULES = "deploy/prometheus/rules.yaml"


def shortened(rules):
    """The same rules with shorter times: every window 10 s to 25 s, every `for` 4 s.

    The thresholds of added latency are 45 ms instead of 10 ms, because a test machine may be short of processor time."""
    window = {"2m": "10s", "5m": "10s", "10m": "12s", "15m": "15s", "30m": "15s", "1h": "20s", "6h": "20s", "3d": "25s"}
    rules = re.sub(r"\[(\d+[mhd])\]", lambda found: f"[{window[found[1]]}]", rules)
    rules = re.sub(r"((?:signing|added)_duration_seconds_bucket.*\)) > 0\.01\b", r"\1 > 0.045", rules)
    rules = re.sub(r"(?m)^(\s+for:) \S+$", r"\1 4s", rules)
    return re.sub(r"(?m)^(\s+interval:) \S+$", r"\1 1s", rules)


class Prometheus:
    def __init__(self, stage, targets, rules):
        """`targets`: (job, port, labels). `rules`: the text of the rule file."""
        directory = stage.directory
        self.port = free_port()
        (directory / "rules.yaml").write_text(rules)
        scrapes = [
            {
                "job_name": job,
                "honor_labels": True,
                "static_configs": [
                    {"targets": [f"127.0.0.1:{port}"], "labels": labels} for name, port, labels in targets if name == job
                ],
            }
            for job in dict.fromkeys(job for job, _, _ in targets)
        ]
        config = {
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
            "rule_files": [str(directory / "rules.yaml")],
            "scrape_configs": scrapes,
        }
        (directory / "prometheus.yml").write_text(json.dumps(config))
        log = open(directory / "prometheus.log", "ab")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )
        wait_for(self.is_ready, 30, "Prometheus is ready")

    def is_ready(self):
        try:
            return "ready" in fetch(f"http://127.0.0.1:{self.port}/-/ready").lower()
        except OSError:
            return False

    def api(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        return json.loads(fetch(url, 20))["data"]

    def query(self, expression):
        """The result, or the text of the error."""
        try:
            return self.api("query", query=expression)["result"], None
        except urllib.error.HTTPError as error:
            return None, json.loads(error.read())["error"]

    def rules(self):
        return [rule for group in self.api("rules")["groups"] for rule in group["rules"]]

    def firing(self):
        """The firing alerts as the API returns them, by (name, namespace)."""
        alerts = [alert for alert in self.api("alerts")["alerts"] if alert["state"] == "firing"]
        return {(alert["labels"]["alertname"], alert["labels"].get("namespace", "")): alert for alert in alerts}

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
