"""The figures in the docs are those of the committed result files, and these are of one state of the code."""

from __future__ import annotations

import json
import re
from typing import Any

from evals import runs
from evals.gold import ROOT

RESULTS = ROOT / "evals" / "results"
ROW = re.compile(
    r"^\| ([^|]+) \| `([^`]+)` \| ([\d.]+) \[([\d.]+), ([\d.]+)\] \| ([\w/.-]+\.json)(?:, split (\w+))? \|$",
    re.MULTILINE,
)


def result(file: str) -> dict[str, Any]:
    """A result file as it stands."""
    read: dict[str, Any] = json.loads((RESULTS / file).read_text(encoding="utf-8"))
    return read


def test_every_figure_of_the_table_of_choices_stands_in_its_file() -> None:
    text = (ROOT / "docs" / "choices.md").read_text(encoding="utf-8")
    rows = ROW.findall(text)
    assert len(rows) == len(re.findall(r"^\|.*\.json[^|]*\|$", text, re.MULTILINE)) >= 20
    for label, measure, value, low, high, file, split in rows:
        run = result(file)
        estimate = run["aggregates"][f"split {split}" if split else "all"][measure]
        for shown, name in ((value, "value"), (low, "low"), (high, "high")):
            digits = len(shown.partition(".")[2])
            assert float(shown) == round(estimate[name], digits), f"{file}: {measure} {name}"
        for setting, changed in re.findall(r"`(\w+)=([\w.]+)`", label):
            assert str(run["identity"]["settings"][setting]).lower() == changed, f"{file}: {label}"


def test_the_results_are_of_one_state_of_the_code() -> None:
    """Figures of different states must not stand in one table, nor a ranking beside another run's scores."""
    files = ["baseline.json", *(f"summaries/{path.name}" for path in sorted((RESULTS / "summaries").glob("*.json")))]
    assert len(files) >= 10
    assert len({result(file)["identity"]["code_hash"] for file in files}) == 1
    baseline = runs.load(RESULTS / "baseline.json")
    (tag,) = {line.split()[-1] for line in (RESULTS / "baseline.trec").read_text(encoding="utf-8").splitlines()}
    assert tag == baseline.identity.key
