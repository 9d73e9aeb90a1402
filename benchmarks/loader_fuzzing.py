"""Fuzz every loader by turns (fuzz/loaders.py) and keep what came of it.

    python benchmarks/loader_fuzzing.py [--minutes 10] [--corpus FOLDER] [KIND ...]

For each kind: the minutes, the inputs tried, the edges of this package's Python code that they reached, and the
findings, which are kept in `--corpus` beside the inputs that reached something new. Needs: pip install atheris. Writes
results/loader_fuzzing.json; a kind that is not named keeps its figures there, with the commit they are of. Exit code 1
where there is a finding.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import measured  # noqa: E402  the path comes first

KINDS = ("pdf", "docx", "pptx", "epub", "html", "vtt", "srt", "csv", "md", "txt")
_EXECUTIONS = re.compile(r"^#(\d+)\t", re.MULTILINE)
_FINDING = re.compile(r"((?:crash|timeout|oom)-[0-9a-f]{40})")
_COVERAGE = re.compile(r"cov: (\d+)")


def main() -> int:
    """Fuzz, print a line a kind, save after each."""
    parser = argparse.ArgumentParser(description="Fuzz every loader.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"(default: all: {', '.join(KINDS)})")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each kind (default: 10)")
    parser.add_argument(
        "--corpus", type=Path, default=Path("fuzz/corpus"), help="inputs and findings, by kind (default: fuzz/corpus)"
    )
    given = parser.parse_args()
    if unknown := set(given.kinds) - set(KINDS):
        parser.error(f"{', '.join(sorted(unknown))} is no kind. Kinds: {', '.join(KINDS)}.")
    kept = measured.FOLDER / "loader_fuzzing.json"
    figures = json.loads(kept.read_text(encoding="utf-8"))["figures"] if kept.exists() else {}
    found = 0
    for kind in given.kinds or KINDS:
        figures[kind] = {"commit": measured.COMMIT, **_fuzzed(kind, given.minutes, given.corpus / kind)}
        found += figures[kind]["findings"]
        print(f"{kind:6}" + "  ".join(f"{value} {name}" for name, value in figures[kind].items()), flush=True)
        measured.write("loader_fuzzing", {k: figures[k] for k in KINDS if k in figures}, {"minutes": given.minutes})
    return 1 if found else 0


def _fuzzed(kind: str, minutes: float, corpus: Path) -> dict[str, int]:
    """One kind. A finding ends the fuzzer, which is then started again for the time that is left.

    Raises SystemExit with what the fuzzer said where it ended early without a finding.
    """
    findings, inputs = (corpus / "findings").resolve(), (corpus / "inputs").resolve()
    findings.mkdir(parents=True, exist_ok=True)
    inputs.mkdir(exist_ok=True)
    began, executions, coverage, found = time.monotonic(), 0, 0, set[str]()
    while (left := round(minutes * 60 - (time.monotonic() - began))) > 0:
        options = [f"-max_total_time={left}", f"-artifact_prefix={findings}/", str(inputs)]
        command = [sys.executable, str(REPOSITORY / "fuzz" / "loaders.py"), kind, *options]
        said = subprocess.run(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        executions += max(map(int, _EXECUTIONS.findall(said.stderr)), default=0)
        coverage = max([coverage, *map(int, _COVERAGE.findall(said.stderr))])
        named = _FINDING.findall(said.stderr)
        found.update(named)
        if said.returncode and not named:
            raise SystemExit(f"fuzz/loaders.py {kind} ended early (code {said.returncode}):\n{said.stderr[-2000:]}")
    return {
        "seconds": round(time.monotonic() - began),
        "executions": executions,
        "coverage": coverage,
        "findings": len(found),
    }


if __name__ == "__main__":
    sys.exit(main())
