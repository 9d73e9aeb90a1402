"""The figures in the docs are those of the committed result files, and these are of one state of the code."""

from __future__ import annotations

import re

from evals import identity, runs, tables
from evals.gold import ROOT

RESULTS = ROOT / "evals" / "results"


def test_runs_of_the_table_are_what_it_calls_them() -> None:
    """Its settings are the defaults but for those that its name gives, and it asked as many questions."""
    for name, file, group, _ in tables.SETS:
        run = tables.result(file)
        changed = dict(re.findall(r"`(\w+)=([\w.]+)`", name))
        assert run["identity"]["settings"] == identity.described(identity.settings_from(changed)), file
        (number,) = re.findall(r"([\d,]+) questions", name) or ["0"]
        asked = max(estimate["n"] for estimate in run["aggregates"][group].values())
        assert number in ("0", f"{asked:,}"), file


def test_the_results_are_of_one_state_of_the_code() -> None:
    """Figures of different states must not stand in one table, nor a ranking beside another run's scores."""
    files = ["baseline", *(f"summaries/{path.stem}" for path in sorted((RESULTS / "summaries").glob("*.json")))]
    assert len(files) >= 10
    assert len({tables.result(file)["identity"]["code_hash"] for file in files}) == 1
    baseline = runs.load(RESULTS / "baseline.json")
    (tag,) = {line.split()[-1] for line in (RESULTS / "baseline.trec").read_text(encoding="utf-8").splitlines()}
    assert tag == baseline.identity.key
