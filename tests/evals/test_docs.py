"""The figures in the docs are those of the committed result files."""

from __future__ import annotations

import json
import re

from evals.gold import ROOT

ROW = re.compile(r"^\| [^|]+ \| `([^`]+)` \| ([\d.]+) \[([\d.]+), ([\d.]+)\] \| ([\w/.-]+\.json) \|$", re.MULTILINE)


def test_every_figure_of_the_table_of_choices_stands_in_its_file() -> None:
    rows = ROW.findall((ROOT / "docs" / "choices.md").read_text(encoding="utf-8"))
    assert len(rows) >= 20
    for measure, value, low, high, file in rows:
        run = json.loads((ROOT / "evals" / "results" / file).read_text(encoding="utf-8"))
        estimate = run["aggregates"]["all"][measure]
        for shown, name in ((value, "value"), (low, "low"), (high, "high")):
            digits = len(shown.partition(".")[2])
            assert float(shown) == round(estimate[name], digits), f"{file}: {measure} {name}"
