"""The documents agree with the program: runbook and alerts, error page and codes, log table and fields, dashboard and metrics."""

import json
import pathlib
import re

import promql

RUNBOOK = pathlib.Path("deploy/runbook.md")
ERRORS = pathlib.Path("deploy/errors.md")
RULE_TESTS = pathlib.Path("deploy/prometheus/tests.yaml")
LOGS = pathlib.Path("deploy/logs.md")
DASHBOARD = pathlib.Path("deploy/grafana/dashboard.json")
FAMILIES = [pathlib.Path("src/metrics/families.rs"), *sorted(pathlib.Path("src/metrics/families").glob("*.rs"))]
PARTS = ("What it means", "What to look at", "What to do", "What not to do")


def sections(page):
    """Heading to text, of the second level."""
    parts = re.split(r"(?m)^## (.+)$", page.read_text())
    return dict(zip(parts[1::2], parts[2::2]))


def check_runbook(tally, rules):
    entries = sections(RUNBOOK)
    alerts = {rule["name"]: rule for rule in rules if rule["type"] == "alerting"}
    tested = RULE_TESTS.read_text()
    for name, rule in alerts.items():
        tally.check(re.search(rf"alertname(=\"|: ){name}\b", tested), f"{name} fires in the unit tests")
        url = rule["annotations"].get("runbook_url", "")
        tally.check(url == f"deploy/runbook.md#{name.lower()}", f"{name} points to its entry", url)
        tally.check(rule["labels"].get("severity") in ("page", "ticket"), f"{name} has a severity")
        tally.check({"summary", "description"} <= set(rule["annotations"]), f"{name} has summary and description")
        missing = [part for part in PARTS if f"**{part}.**" not in entries.get(name, "")]
        tally.check(not missing, f"the runbook's entry {name} is whole", f"without {missing}")
        named = re.search(r"\((page|ticket)\)", entries.get(name, ""))
        tally.check(named and named[1] == rule["labels"].get("severity"), f"the runbook has the severity of {name}")
    gone = [name for name in entries if name.startswith("WonderSigner") and name not in alerts]
    tally.check(not gone, "the runbook has no entry for a removed alert", str(gone))
    known = declared() | {"process_resident_memory_bytes"}
    for page in (RUNBOOK, ERRORS, LOGS):
        unknown = {
            name for name in re.findall(r"`(wonder_signer_\w+)", page.read_text())
            if re.sub(r"_(bucket|sum|count)$", "", name) not in known
        }
        tally.check(not unknown, f"{page} names metrics that exist", str(unknown))
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            file, _, anchor = target.partition("#")
            there = (page.parent / file) if file else page
            holds = there.exists() and (not anchor or anchor in {slug(heading) for heading in sections(there)})
            tally.check(holds, f"{page}: the link {target} leads somewhere")


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def declared():
    """Every metric that the source declares."""
    return {name for file in FAMILIES for name in re.findall(r'"(wonder_signer_\w+)"', file.read_text())}


def check_errors(tally):
    rows = re.findall(r'(\w+) = "(\w+)", ([A-Z_]+) \w+', pathlib.Path("src/contract/code.rs").read_text())
    tally.check(len(rows) > 15, "the codes are found in the source", str(len(rows)))
    entries = sections(ERRORS)
    for _, code, _ in rows:
        text = entries.get(code, "")
        missing = [part for part in PARTS if f"**{part}.**" not in text]
        tally.check(not missing, f"the error page's entry {code} is whole", f"without {missing}")
    gone = [name for name in entries if re.fullmatch("[a-z_]+", name) and name not in {code for _, code, _ in rows}]
    tally.check(not gone, "the error page has no removed code", str(gone))


def check_codes_watched(tally, rules):
    """Every error code is in the expression of an alert, so none can fail all requests unseen."""
    codes = re.findall(r'(\w+) = "(\w+)", ([A-Z_]+) \w+', pathlib.Path("src/contract/code.rs").read_text())
    watched = [
        pattern
        for rule in rules
        for pattern in re.findall(r'proxy_errors_total\{[^}]*reason=~?"([^"]+)"', rule["query"])
    ]
    # The webhook listener counts these two as outcomes.
    outcomes = {"webhook_rejected": "rejected", "application_failed": "failed"}
    watched_outcomes = [
        pattern for rule in rules for pattern in re.findall(r'webhooks_total\{outcome=~?"([^"]+)"', rule["query"])
    ]

    def is_watched(code):
        name, patterns = (outcomes[code], watched_outcomes) if code in outcomes else (code, watched)
        return any(re.fullmatch(pattern, name) for pattern in patterns)

    unseen = {code for _, code, _ in codes if not is_watched(code)}
    tally.check(not unseen, "an alert watches every error code", str(unseen))


def message(call):
    """The last string among the arguments of a macro, which begin here and end with its closing bracket."""
    depth, last = 1, None
    for token in re.finditer(r'"((?:[^"\\]|\\.)*)"|[()]', call):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            return last
        last = token[1] or last


def check_messages(tally):
    """Every log message of the program is in a table of logs.md, except those of the simulator, which is never deployed."""
    messages = set()
    for file in pathlib.Path("src").rglob("*.rs"):
        if "simulat" in str(file) or "tests" in str(file):
            continue
        source = file.read_text().split("#[cfg(test)]")[0]
        for begin in re.finditer(r"tracing::(?:error|warn|info)!\(", source):
            messages.add(message(source[begin.end() :]))
    tally.check(len(messages) > 20, "the messages are found in the source", str(messages))
    page = LOGS.read_text()
    unknown = {message for message in messages if f"`{message}`" not in page}
    tally.check(not unknown, "the log page has every message", str(unknown))


def check_logs(tally):
    source = pathlib.Path("src/telemetry/request.rs").read_text()
    event = re.search(r"tracing::event!\((.*?)\"request\"", source, re.S)
    fields = set(re.findall(r"(?m)^\s*(\w+)\s*=", event[1])) if event else set()
    tally.check(len(fields) > 10, "the fields are found in the source", str(fields))
    written = set(re.findall(r"(?m)^\| `(\w+)`", sections(LOGS)["The request line"]))
    always = {"timestamp", "level", "message", "target"}
    tally.check(fields <= written, "the log table has every field", str(fields - written))
    tally.check(written <= fields | always, "the log table has no removed field", str(written - fields - always))


def dashboard_queries():
    """(panel, expression) of every query, the annotations' too."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return found + [(note["name"], note["expr"]) for note in dashboard["annotations"]["list"]]


def check_dashboard(tally):
    dashboard = json.loads(DASHBOARD.read_text())
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    tally.check(list(variables) == ["datasource", "namespace", "pod"], "the dashboard is templated", str(list(variables)))
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    tally.check(len(ids) == len(set(ids)), "panel ids are unique")
    taken = {}
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        clash = {taken[cell] for cell in cells if cell in taken}
        tally.check(not clash and at["x"] + at["w"] <= 24, f"panel {panel['title']} does not overlap another", str(clash))
        taken.update({cell: panel["title"] for cell in cells})
        if panel["type"] == "row":
            continue
        tally.check(panel.get("description"), f"panel {panel['title']} has a description")
        unit = panel["fieldConfig"]["defaults"].get("unit") or panel["type"] == "table"
        tally.check(unit, f"panel {panel['title']} has a unit")
        for target in panel["targets"]:
            holds = target["datasource"]["uid"] == "${datasource}" and "$pod" in target["expr"] and "$namespace" in target["expr"]
            tally.check(holds, f"panel {panel['title']} uses the variables", target["expr"])


def filled_in(expression):
    """The expression as Grafana sends it with everything selected and a short window."""
    for variable, value in {"$__rate_interval": "20s", "$__range": "1m", "$namespace": ".*", "$pod": ".*"}.items():
        expression = expression.replace(variable, value)
    return expression


def check_expressions(tally, prometheus, scrape, recorded):
    """Prometheus can evaluate every expression of dashboard and rules, and a real scrape has every metric in them."""
    there = {re.sub(r"\{.*|\s.*", "", line) for line in scrape.splitlines() if line and not line.startswith("#")}
    pairs = {
        (name, label, value)
        for name, labels in re.findall(r"(?m)^(wonder_signer_\w+)\{([^}]*)\}", scrape)
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels)
    }
    elsewhere = {"up", "kube_pod_init_container_resource_limits", "kube_pod_container_resource_limits"}
    expressions = [(f"panel {panel}", filled_in(expression)) for panel, expression in dashboard_queries()]
    expressions += [(f"rule {rule['name']}", rule["query"]) for rule in prometheus.rules()]
    silent = []
    for where, expression in expressions:
        result, error = prometheus.query(expression)
        tally.check(error is None, f"{where} can be evaluated", f"{error}: {expression}")
        unknown = promql.metrics(expression) - there - elsewhere - recorded
        tally.check(not unknown, f"{where} names metrics of a real scrape", str(unknown))
        unknown = promql.label_values(expression) - pairs
        unknown = {found for found in unknown if found[0] in there}
        tally.check(not unknown, f"{where} names label values of a real scrape", str(unknown))
        if where.startswith("panel") and not result:
            silent.append(where)
    return len(expressions), silent
