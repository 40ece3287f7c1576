"""Checks what the dashboard and the alerts ask for: that serin has it (named), and that it is shown (shown).

named ROOT: every metric stands in the source. shown ROOT SERIN PROMETHEUS: that Prometheus takes every query, and
answers with series where serin tells all metrics of it.
"""

import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

root = Path(sys.argv[2])
rules = (root / "deploy/prometheus-rules.yml").read_text()
dashboard = json.loads((root / "deploy/grafana/serin.json").read_text())
panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
queries = [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]
VARIABLES = {"$__rate_interval": "1m", "$job": ".+", "$account": ".*", "$application": ".*"}


def metrics(text):
    """Names of serin's metrics, without what a histogram adds."""
    names = re.findall(r"\bserin_[a-z_]+", text)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def named():
    source = "\n".join(file.read_text() for file in (root / "src").rglob("*.rs"))
    known = set(re.findall(r'"(serin_[a-z_]+)"', source))
    asked = metrics(rules) | metrics(json.dumps(dashboard))
    if unknown := asked - known:
        sys.exit(f"no metric of serin: {', '.join(sorted(unknown))}")
    print(f"{len(asked)} metrics are named, and serin has them")


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def ask(prometheus, query):
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    if left := re.search(r"\$\w+", query):
        sys.exit(f"a variable that the dashboard does not have: {left.group()}")
    url = f"{prometheus}/api/v1/query?query={urllib.parse.quote(query)}"
    try:
        return json.loads(get(url))["data"]["result"]
    except urllib.error.HTTPError as refused:
        sys.exit(f"{refused.read().decode()}\n{query}")


def shown(serin, prometheus):
    told = metrics(get(f"{serin}/metrics"))
    # A rate wants two samples.
    for _ in range(30):
        time.sleep(1)
        empty = [(title, query) for title, query in queries if not ask(prometheus, query)]
        missed = [f"{title}: {query}" for title, query in empty if metrics(query) <= told]
        if not missed:
            break
    else:
        sys.exit("serin tells it, and no panel shows it:\n" + "\n".join(missed))
    groups = json.loads(get(f"{prometheus}/api/v1/rules"))["data"]["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    if len(loaded) != rules.count("- alert:") or any(rule["health"] != "ok" for rule in loaded):
        sys.exit(f"not every rule is evaluated: {json.dumps(loaded)}")
    print(f"{len(queries) - len(empty)} of {len(queries)} queries of the dashboard have series, {len(loaded)} rules are evaluated")


if sys.argv[1] == "named":
    named()
else:
    shown(*sys.argv[3:])
