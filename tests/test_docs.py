"""Every figure of the README and the docs that was measured stands in a committed result file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.conftest import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results"


def figures(name: str) -> dict[str, Any]:
    """What a benchmark measured."""
    kept: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["figures"]
    return kept


def doc(name: str) -> str:
    """A document with its lines run together, so that a sentence is found wherever it is broken."""
    return " ".join((REPOSITORY / name).read_text(encoding="utf-8").split())


def table(name: str, heading: str) -> list[list[str]]:
    """The cells of the only table under a heading, below its head."""
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert re.fullmatch(r"[| -]+", lines[1])
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


def cells(*values: object) -> list[str]:
    """As a table shows them: whole numbers by thousands."""
    return [f"{value:,}" if isinstance(value, int) else str(value) for value in values]


def test_readme_says_what_a_question_was_measured_to_take() -> None:
    kept = figures("query_latency")
    total, read = kept["warm_ms"]["total"], kept["warm_ms"]["read"]
    assert (
        f"A warm question takes {total['median']:.0f} ms (median; {total['p95']:.0f} ms at the 95th percentile) "
        f"on two idle cores, {read['median']:.0f} of them for reading, and `rag ask` from a cold start "
        f"{kept['cold_ratio']:.2f} of the time" in doc("README.md")
    )


def test_chat_says_what_waiting_was_measured() -> None:
    paint, load = figures("chat_first_paint"), figures("chat_load")
    first, whole, work = paint["first_paint_ms"], load["whole_answer_ms"], load["processor_ms_per_answer"]
    assert load["lost"] == load["wrong"] == load["refused"] == 0
    text = doc("docs/chat.md")
    for sentence in (
        f"painted {first['median']} ms after Enter (median; 95th percentile {first['p95']} ms)",
        f"got {load['answers']:,} answers, none lost, wrong or refused, "
        f"after {whole['median']} ms (median; {whole['p95']} ms)",
        f"takes {work['server']} ms of a core in the server and {work['crowd']} ms in the crowd",
        f"{paint['update_s']:.1f} s to see that no document changed, {paint['start_s']:.1f} s to start, of which "
        f"{paint['gradio_s']:.1f} s are the import of Gradio, and {paint['page_s']:.1f} s for the page",
    ):
        assert sentence in text


def test_formats_says_how_fast_files_were_read() -> None:
    kept = figures("loading_speed")
    rows = table("docs/formats.md", "Speed")
    assert {row[0].strip("`") for row in rows} == set(kept)
    for kind, *shown, others in rows:
        row = kept[kind.strip("`")]
        assert shown == cells(row["files"], row["kB"], row["characters"], f"{row['ms']:.2f}")
        assert others == ", ".join(f"{name} {ms:.2f}" for name, ms in _others(row).items())


def _others(row: Mapping[str, Any]) -> dict[str, float]:
    ours = {"files", "kB", "characters", "ms", "ms of the clock within limits"}
    return {name.removeprefix("ms by "): value for name, value in row.items() if name not in ours}


def test_index_life_says_how_many_builds_were_killed() -> None:
    kept = figures("index_crash")
    assert all(value == 0 for name, value in kept.items() if name.endswith("(must be 0)"))
    assert table("docs/index-life.md", "Killed builds") == [
        [
            "builds killed, of them while files of a version were written",
            f"{kept['builds killed']:,}, {kept['of them while files of a version were written']:,}",
        ],
        ["builds that finished", f"{kept['builds that finished']:,}"],
        [
            "times the live version was verified, and did not verify",
            f"{kept['times the live version was verified']:,}, 0",
        ],
        [
            "questions asked meanwhile, failed, answered from two generations at once",
            f"{kept['questions asked meanwhile']:,}, 0, 0",
        ],
        ["texts encoded, of them though their vector was kept", f"{kept['texts encoded']:,}, 0"],
        [
            "texts in a block that a kill cut off before it was kept, so that they were encoded once more",
            f"{kept['of them in a block that a kill cut off before it was kept']:,}",
        ],
    ]


def test_index_life_says_what_an_update_was_measured_to_cost() -> None:
    kept = figures("index_rebuild")
    rows = table("docs/index-life.md", "What an update costs")
    assert len(rows) == 4
    for name, work, clock in rows:
        assert [work, clock] == [f"{kept[f'{name}, s of work']:.2f}", str(kept[f"{name}, s of the clock"])]
    beyond = kept["one document changed, s of work beyond the scan (must be less than 1)"]
    share = kept["one document changed / build from nothing, work"]
    assert f"costs {beyond} s of work beyond the scan, and {share} of the build" in doc("docs/index-life.md")


def test_index_life_says_what_a_build_was_measured_to_cost() -> None:
    kept = figures("index_throughput")
    assert table("docs/index-life.md", "What a build costs") == [
        ["texts a second, the whole build", str(kept["texts a second, build"])],
        [f"texts a second, `encode()` alone, on the same {kept['texts']} texts", str(kept["texts a second, encode()"])],
        ["ratio", str(kept["ratio on the same texts"])],
        [
            f"ratio where `encode()` has the {kept['chunks']} chunks alone, and the build its segments too",
            str(kept["ratio of chunks a second, the build's segments thrown in"]),
        ],
    ]


@pytest.mark.parametrize(("shown", "name"), [("20 MB", "20 MB"), ("200 MB", "200 MB"), ("2 GB", "2000 MB")])
def test_index_life_says_what_memory_was_measured(shown: str, name: str) -> None:
    kept = figures("index_memory")
    assert len(kept) == 3
    row = kept[name]
    order: Sequence[str] = ("documents", "chunks", "segments", "MiB at most", "seconds")
    assert [shown, *cells(*(row[key] for key in order))] in table("docs/index-life.md", "Memory")
    (one,) = figures("index_memory_of_a_file").values()
    assert f"takes {one['MiB at most']} MiB at most" in doc("docs/index-life.md")


SETS = {
    "Written for this (below)": ("written",),
    "SquadShifts: new Wikipedia, Amazon, Reddit": (
        "squadshifts/new_wiki",
        "squadshifts/amazon_reviews",
        "squadshifts/reddit",
    ),
    "SQuAD 1.1 train, parts": ("squad_train_val5", "squad_flan_eval"),
    "SQuAD answer sentences (question generation set)": ("squad_kou_sentences",),
    "Natural Questions, oracle passages": ("nq_oracle",),
    "FairytaleQA": ("fairytaleqa",),
    "SelQA": ("selqa",),
    "QAMR": ("qamr",),
    "SleepQA, 500 of them unanswered": ("sleepqa", "sleepqa/neg"),
    "Quoref": ("quoref_sapt",),
    "OMoS-QA, English, some unanswered": ("omosqa_en",),
    "TAT-QA, text questions": ("tatqa",),
}


def test_reader_says_what_it_was_trained_on() -> None:
    rounds = json.loads((REPOSITORY / "rag" / "reader.json").read_text(encoding="utf-8"))["rounds"]
    sets: dict[str, int] = rounds[-1]["sets"]
    rows = table("docs/reader.md", "How it was trained")
    assert {row[0] for row in rows} == SETS.keys()
    for name, _, as_had, made in rows:
        origins = SETS[name]
        assert as_had == f"{sum(sets[origin] for origin in origins):,}"
        kinds = [sum(sets.get(f"{origin} {kind}", 0) for origin in origins) for kind in ("near", "own", "swapped")]
        assert made == ", ".join(f"{count:,}" for count in kinds)
    assert sum(sets.values()) == sum(
        int(count.replace(",", "")) for row in rows for cell in row[2:] for count in re.findall(r"\d[\d,]*\d|\d", cell)
    )
    text = doc("docs/reader.md")
    assert f"some {round(sum(r['examples_seen'] for r in rounds), -3):,} examples in all" in text
    assert f"of which it saw {rounds[-1]['examples_seen']:,} before" in text
