"""Compares the documents that a program gave with those of Prometheus 2, and prints its row of the matrix.

A verdict that differs, or windows that are judged otherwise with what is known of them, are failures.
"""

import json
import sys
from pathlib import Path

folder, program, version = Path(sys.argv[1]), sys.argv[2], sys.argv[3]


def read(name):
    return json.loads((folder / f"{name}.json").read_text())


def found(value, key):
    """Every value of that key, wherever it stands."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            else:
                yield from found(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from found(inner, key)


def judged(document):
    """Score, and for each metric its label and what was measured of both sides."""
    results = [
        {
            result["name"]: (
                result["classification"],
                [next(found(result[side], "stats")) for side in ("controlMetadata", "experimentMetadata")],
            )
            for result in judgement["results"]
        }
        for judgement in found(document, "judgeResult")
    ]
    scores = [judgement["score"]["score"] for judgement in found(document, "judgeResult")]
    return scores, results


def labels(results):
    return [{name: label for name, (label, _) in result.items()} for result in results]


def difference(one, other):
    """The largest relative difference of two means."""
    largest = 0.0
    for mine, theirs in zip(one, other):
        for name, (_, sides) in mine.items():
            for own, their in zip(sides, theirs[name][1]):
                largest = max(largest, abs(own["mean"] - their["mean"]) / max(abs(their["mean"]), 1e-9))
    return largest


wrong, cells = [], []
for shift in ("0", "30"):
    scores, results = judged(read(f"{program}-{shift}"))
    base_scores, base_results = judged(read(f"prometheus-2-{shift}"))
    if not scores or any(not result for result in results):
        wrong.append(f"{shift} s: nothing was judged")
        continue
    if (scores, labels(results)) != (base_scores, labels(base_results)):
        wrong.append(f"{shift} s: {scores} {labels(results)}, and Prometheus 2 {base_scores} {labels(base_results)}")
    counts = {stats["count"] for result in results for _, sides in result.values() for stats in sides}
    cell = f"{scores[0]:g}, {max(counts)} points, means within {difference(results, base_results):.2%}"
    known, whole = (judged(read(f"{program}-{shift}-{reuse}")) for reuse in ("true", "false"))
    if known != whole:
        wrong.append(f"{shift} s: {len(known[0])} windows are not judged as without reuse")
    windows = f"{len(known[0])} windows as without reuse" if known == whole else "windows differ"
    cells.append(f"{cell}; {windows}")
print(f"| {program} {version} | " + " | ".join(cells) + " |")
if wrong:
    sys.exit("\n".join(wrong))
