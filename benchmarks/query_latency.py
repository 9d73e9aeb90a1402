"""How long a question takes: warm, stage by stage, and from a cold start beside one import for scale.

    python benchmarks/query_latency.py [--index DIR] [--rounds N] [--starts N]

Warm: every question of evals/questions/seeds.jsonl is asked in one process, `rounds` times over after one
round that is not counted; median and 95th percentile of each stage in milliseconds. Cold: `rag ask` as a
process of its own and `python -c "import sentence_transformers"`, turn about `starts` times in the same run,
so that a busy machine slows both; the ratio of their medians, which is to be 0.3 at most.

The milliseconds are the machine's as much as the program's: they are held beside 30, and only the ratio can fail.
Writes results/query_latency.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measured

from rag.assistant import Assistant
from rag.building import build_corpus
from rag.exporting import open_encoder
from rag.settings import Settings, load_settings

REPOSITORY = Path(__file__).resolve().parent.parent
QUESTION = "What hurdles do provincial governments face?"
WARM_AIM_MS = 30.0
COLD_LIMIT = 0.3


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures. Returns 1 where the ratio is over its limit."""
    parser = argparse.ArgumentParser(description="Times of a warm question and of a cold start.")
    parser.add_argument("--index", type=Path, help="an index over the seeds (default: one made for the occasion)")
    parser.add_argument("--rounds", type=int, default=3, help="times all questions are asked (default: 3)")
    parser.add_argument("--starts", type=int, default=5, help="cold starts of each kind (default: 5)")
    given = parser.parse_args(arguments)
    settings = load_settings().settings
    with tempfile.TemporaryDirectory() as scratch:
        index = given.index or _built(Path(scratch) / "index", settings)
        print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
        warm = _warm(index, settings, given.rounds)
        cold = _cold(index, given.starts)
    ratio = cold["rag ask"] / cold["import sentence_transformers"]
    print(f"  ratio {ratio:.3f}, limit {COLD_LIMIT:g}: {'held' if ratio <= COLD_LIMIT else 'BROKEN'}")
    figures = {"warm_ms": warm, "cold_s": cold, "cold_ratio": round(ratio, 3)}
    measured.write("query_latency", figures, {"rounds": given.rounds, "starts": given.starts})
    return 0 if ratio <= COLD_LIMIT else 1


def _built(folder: Path, settings: Settings) -> Path:
    build_corpus(
        [REPOSITORY / "seeds"], folder, settings, lambda: open_encoder(settings.encoder, settings.cache_dir, print)
    )
    return folder


def _warm(index: Path, settings: Settings, rounds: int) -> dict[str, dict[str, float]]:
    """Stage to median and 95th percentile, in milliseconds."""
    lines = (REPOSITORY / "evals" / "questions" / "seeds.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line) for line in lines if line.strip()]
    stages: dict[str, list[float]] = {}
    with Assistant.open(index, settings) as assistant:
        for number in range(rounds + 1):
            for item in asked:
                timings = assistant.ask(item["question"], item.get("history", [])).timings_ms
                if number:
                    for stage, spent in timings.items():
                        stages.setdefault(stage, []).append(spent)
    print(f"\nwarm question, {len(asked)} questions x {rounds}, ms\n  {'stage':<12}{'median':>8}{'p95':>8}")
    figures = {
        stage: {"median": round(statistics.median(times), 2), "p95": round(statistics.quantiles(times, n=20)[-1], 2)}
        for stage, times in stages.items()
    }
    for stage, each in figures.items():
        print(f"  {stage:<12}{each['median']:>8.2f}{each['p95']:>8.2f}")
    print(f"  median of the total / {WARM_AIM_MS:g} ms: {figures['total']['median'] / WARM_AIM_MS:.2f}")
    return figures


def _cold(index: Path, starts: int) -> dict[str, float]:
    """Median of each command, in seconds."""
    commands = {
        "rag ask": [sys.executable, "-m", "rag", "ask", QUESTION, "--index", str(index)],
        "import sentence_transformers": [sys.executable, "-c", "import sentence_transformers"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(starts + 1):  # the first of each fills the disk's cache and is not counted
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=REPOSITORY)
            if number:
                seconds[name].append(time.perf_counter() - began)
    print(f"\ncold start, {starts} of each in turn, s\n  {'':<30}{'median':>8}{'lowest':>8}{'highest':>8}")
    for name, spent in seconds.items():
        print(f"  {name:<30}{statistics.median(spent):>8.2f}{min(spent):>8.2f}{max(spent):>8.2f}")
    return {name: round(statistics.median(spent), 3) for name, spent in seconds.items()}


if __name__ == "__main__":
    sys.exit(main())
