"""The same series for every program: two versions of a service over two hours that end now, every 15 seconds.

Writes series.om (OpenMetrics, seconds) and series.prom (the format of Prometheus, milliseconds) into a folder, and
prints the first and the last second.
"""

import random
import sys
import time
from pathlib import Path

STEP, HOURS = 15, 2
BUCKETS = ["0.05", "0.1", "0.25", "0.5", "1", "+Inf"]

folder = Path(sys.argv[1])
# An hour ago and more: no program holds back its latest points then.
last = int(time.time()) // 3600 * 3600 - 3600
first = last - HOURS * 3600
draw = random.Random(18)
lines = {"om": [], "prom": []}


def family(name, kind, rows):
    stem = name.removesuffix("_total")
    lines["om"].append(f"# TYPE {stem} {kind}")
    lines["prom"].append(f"# TYPE {name} {kind}")
    for series, at, value in rows:
        lines["om"].append(f"{series} {value} {at}")
        lines["prom"].append(f"{series} {value} {at * 1000}")


def times():
    return range(first, last + 1, STEP)


def counter(name, rates):
    for version, mean in rates.items():
        value = 0
        for at in times():
            value += max(0, round(draw.gauss(mean, mean / 5)))
            yield f'{name}{{version="{version}"}}', at, value


def gauge(name, means):
    for version, mean in means.items():
        for at in times():
            yield f'{name}{{version="{version}"}}', at, round(draw.gauss(mean, mean / 10), 3)


def histogram(name, shares):
    for version, share in shares.items():
        totals = [0] * len(BUCKETS)
        rows = [[] for _ in range(len(BUCKETS) + 2)]
        summed = 0.0
        for at in times():
            grown = 0
            for number in range(len(BUCKETS)):
                grown += max(0, round(draw.gauss(share[number], 2)))
                totals[number] += grown
                rows[number].append((f'{name}_bucket{{version="{version}",le="{BUCKETS[number]}"}}', at, totals[number]))
            summed += grown / 8
            rows[-2].append((f'{name}_count{{version="{version}"}}', at, totals[-1]))
            rows[-1].append((f'{name}_sum{{version="{version}"}}', at, summed))
        for series in rows:
            yield from series


family("shop_requests_total", "counter", counter("shop_requests_total", {"v1": 300, "v2": 300}))
family("shop_errors_total", "counter", counter("shop_errors_total", {"v1": 12, "v2": 30}))
family("shop_cpu", "gauge", gauge("shop_cpu", {"v1": 0.4, "v2": 0.4}))
shares = {"v1": [40, 80, 60, 20, 8, 2], "v2": [40, 80, 60, 20, 8, 2]}
family("shop_seconds", "histogram", histogram("shop_seconds", shares))

for kind, all_lines in lines.items():
    end = "# EOF\n" if kind == "om" else ""
    (folder / f"series.{kind}").write_text("\n".join(all_lines) + "\n" + end)
print(first, last)
