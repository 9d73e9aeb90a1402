"""The tables of the docs, written from committed result files: python -m evals.tables

Where a document has the line `<!-- NAME -->`, the table below it is the one of that name here. `tests/test_docs.py`
fails where a document has not the tables that this would write.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from evals.comparing import SIGNIFICANT
from evals.gold import ROOT

DOCS = ROOT / "docs"
_PLACE = re.compile(r"^<!-- (?P<name>[\w-]+) -->\n(?P<table>(?:\|.*\n)*)", re.MULTILINE)
Rows = Iterable[Sequence[object]]

SEEDS = (
    "passages.facet_recall", "passages.Success@5", "quotes.facet_recall", "quote_words.median", "false_answer",
    "false_abstention", "auroc",
)  # fmt: skip
PASSAGES = ("passages.recall", "passages.iou")
ANSWERED = ("auroc", "false_answer", "false_abstention")
SETS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("seeds, 200 questions", "baseline", "all", SEEDS),
    ("seeds, the half to test on", "baseline", "split test", SEEDS),
    ("seeds, `reader=false`", "summaries/seeds-no-reader", "all", SEEDS),
    ("Chroma, 472 questions", "summaries/chroma", "all", (*PASSAGES, "quotes.recall", "quotes.iou")),
    ("Chroma, `passage_cutoff=0.0`", "summaries/chroma-cutoff-0", "all", PASSAGES),
    ("Chroma, `passage_cutoff=0.5`", "summaries/chroma-cutoff-50", "all", PASSAGES),
    ("Chroma, `passage_cutoff=0.6`", "summaries/chroma-cutoff-60", "all", PASSAGES),
    ("SciFact, 300 questions", "summaries/scifact", "all", ("nDCG@10", "R@100")),
    ("SQuAD 2.0 part, 600 questions", "summaries/squad2", "all", ("Success@1", "Success@5", "Success@10", *ANSWERED)),
    ("CLAPnq, 299 questions", "summaries/clapnq", "all", ("Success@1", *ANSWERED)),
    ("QMSum val, 2,000 words", "summaries/qmsum", "all", ("utterance_recall",)),
)
"""What a run is called, its file below evals/results, the group of questions and the measures."""
TRAINED_ON = {
    "Written for this (below)": ("MIT, with this repository", "written"),
    "SquadShifts: new Wikipedia, Amazon, Reddit": (
        "CC BY 4.0", "squadshifts/new_wiki", "squadshifts/amazon_reviews", "squadshifts/reddit",
    ),
    "SQuAD 1.1 train, parts": ("CC BY-SA 4.0", "squad_train_val5", "squad_flan_eval"),
    "SQuAD answer sentences (question generation set)": ("CC BY-SA 4.0", "squad_kou_sentences"),
    "Natural Questions, oracle passages": ("CC BY-SA 3.0", "nq_oracle"),
    "FairytaleQA": ("Apache-2.0", "fairytaleqa"),
    "SelQA": ("Apache-2.0", "selqa"),
    "QAMR": ("MIT", "qamr"),
    "SleepQA, 500 of them unanswered": ("MIT", "sleepqa", "sleepqa/neg"),
    "Quoref": ("CC BY 4.0", "quoref_sapt"),
    "OMoS-QA, English, some unanswered": ("CC BY 4.0", "omosqa_en"),
    "TAT-QA, text questions": ("CC BY 4.0", "tatqa"),
}  # fmt: skip
"""A set's licence, and what its rows are called in rag/reader.json."""
THRESHOLDS = (0.25, 0.3, 0.35, 0.4, 0.5)
UNANSWERED = {"near miss": "near miss", "unanswerable": "off the subject"}
"""What kinds of question the documents do not answer are called."""
LOADERS = {"vtt": "WebVTT", "md": "Markdown", "txt": "plain text"}


def main() -> int:
    """Write the tables into the documents. Returns the exit code."""
    for path in sorted(DOCS.glob("*.md")):
        path.write_text(rendered(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def rendered(text: str) -> str:
    """A document with its tables as the results have them now. Raises KeyError for a name that is no table's."""
    return _PLACE.sub(lambda place: f"<!-- {place['name']} -->\n{_table(TABLES[place['name']]())}", text)


def _table(rows: Rows) -> str:
    """The first row is the head."""
    head, *body = ([_shown(cell) for cell in row] for row in rows)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *body))


def _shown(cell: object) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _share(value: float) -> str:
    """A number of 1 at most, without its nought."""
    return f"{value:.3f}" if value >= 1 else f"{value:.3f}".lstrip("0")


def figures(name: str) -> dict[str, Any]:
    """What a benchmark measured."""
    return dict(_read(f"benchmarks/results/{name}.json")["figures"])


def result(name: str) -> dict[str, Any]:
    """A run of the evals, or its summary."""
    return _read(f"evals/results/{name}.json")


def _read(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return read


def fusion() -> Iterator[Sequence[object]]:
    yield "SciFact, 300 questions", "nDCG@10", "R@100"
    for way, means in figures("fusion").items():
        yield way, *map(_share, means.values())


def plain_retrieval() -> Iterator[Sequence[object]]:
    measures = ("passages.Success@5", "passages.facet_recall")
    yield "five passages of the seeds", *(f"`{measure}`" for measure in measures)
    for way, means in figures("plain_retrieval").items():
        yield f"chunks, {way}", *(_share(means[measure]) for measure in measures)
    ours = result("baseline")["aggregates"]["all"]
    yield "as shipped", *(_share(ours[measure]["value"]) for measure in measures)


def ablations() -> Iterator[Sequence[object]]:
    kept = figures("ablations")
    columns = [(set, measure) for set, measures in kept["as shipped"].items() for measure in measures]
    yield "", *(f"{set} `{measure}`" for set, measure in columns)
    yield "as shipped", *(_share(kept["as shipped"][set][measure]) for set, measure in columns)
    rows: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for row in kept["changed"]:
        rows.setdefault(row["change"], {})[row["set"], row["measure"]] = row
    for change, cells in rows.items():
        yield change, *(_difference(cells[column]) for column in columns)


def _difference(row: Mapping[str, Any]) -> str:
    value = round(row["difference"], 3)
    shown = f"{'+' if value > 0 else '−'}{_share(abs(value))}" if value else "="
    return f"**{shown}**" if row["p_holm"] is not None and row["p_holm"] <= SIGNIFICANT else shown


def confidence() -> Iterator[Sequence[object]]:
    model = _read("rag/confidence.json")
    alone, read = model["retrieval"]["auroc"], model["reading"]["auroc"]
    names = {"seeds": "seeds, to tune on", "squad2": "SQuAD 2.0 part", "clapnq": "CLAPnq"}
    yield "AUROC", "search alone, five folds", "with the reader, five folds", "with the reader, fitted on the other two"
    for set, name in names.items():
        yield name, *map(_share, (alone[set]["five_folds"], read[set]["five_folds"], read[set]["fitted_on_others"]))


def thresholds() -> Iterator[Sequence[object]]:
    run = result("baseline")
    kinds = {False: "false answers", True: "false abstentions"}
    yield "`answer_threshold`", *(f"to {split} on: {kinds[a]}" for split in ("tune", "test") for a in (False, True))
    for threshold in THRESHOLDS:
        shares = []
        for split in ("tune", "test"):
            for answerable in (False, True):
                asked = [o for o in run["outcomes"] if o["split"] == split and o["answerable"] is answerable]
                wrong = [o for o in asked if (o["confidence"] < threshold) is answerable]
                shares.append(_share(len(wrong) / len(asked)))
        shipped = ", shipped" if threshold == run["identity"]["settings"]["answer_threshold"] else ""
        yield f"{threshold:.2f}{shipped}", *shares


def sets() -> Iterator[Sequence[object]]:
    yield "set", "measure", "value [95 % interval]", "file"
    for name, file, group, measures in SETS:
        estimates = result(file)["aggregates"][group]
        for measure in measures:
            value, low, high = (estimates[measure][part] for part in ("value", "low", "high"))
            digits = 1 if measure.startswith("quote_words") else 3
            where = f"{file}.json" if group == "all" else f"{file}.json, {group}"
            yield name, f"`{measure}`", f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]", where


def kinds() -> Iterator[Sequence[object]]:
    yield "kind", "questions", "any gold stretch in the top five passages", "any in the quotes", "answered"
    asked: dict[tuple[bool, str], list[dict[str, Any]]] = {}
    for outcome in result("baseline")["outcomes"]:
        asked.setdefault((not outcome["answerable"], outcome["kind"]), []).append(outcome)
    for (unanswerable, kind), outcomes in sorted(asked.items(), key=lambda item: (item[0][0], -len(item[1]))):
        found = ["", ""]
        if not unanswerable:
            passages = [o["measures"]["passages.Success@5"] for o in outcomes]
            quotes = [o["measures"]["quotes.facet_recall"] > 0 for o in outcomes]
            found = [_share(sum(passages) / len(passages)), _share(sum(quotes) / len(quotes))]
        answered = sum(not o["abstained"] for o in outcomes) / len(outcomes)
        yield UNANSWERED[kind] if unanswerable else kind, len(outcomes), *found, _share(answered)


def training() -> Iterator[Sequence[object]]:
    seen: dict[str, int] = _read("rag/reader.json")["rounds"][-1]["sets"]
    yield "set", "licence", "as the set has them", "made: near, own, swapped"
    for name, (licence, *origins) in TRAINED_ON.items():
        made = [sum(seen.get(f"{origin} {kind}", 0) for origin in origins) for kind in ("near", "own", "swapped")]
        yield name, licence, sum(seen[origin] for origin in origins), ", ".join(f"{count:,}" for count in made)


def loading_speed() -> Iterator[Sequence[object]]:
    yield "format", "files", "kB", "characters of text", "ms of work", "others, ms"
    for kind, row in sorted(figures("loading_speed").items(), key=lambda item: -item[1]["ms"]):
        others = [f"{n.removeprefix('ms by ')} {v:.2f}" for n, v in row.items() if n.startswith("ms by ")]
        yield f"`{kind}`", row["files"], row["kB"], row["characters"], f"{row['ms']:.2f}", ", ".join(others)


def fuzzing() -> Iterator[Sequence[object]]:
    yield "loader", "minutes", "executions", "coverage", "findings"
    for kind, row in figures("loader_fuzzing").items():
        counts = (row["executions"], row["coverage"], row["findings"])
        yield LOADERS.get(kind, kind.upper()), row["seconds"] // 60, *counts


def crash() -> Iterator[Sequence[object]]:
    kept = figures("index_crash")
    writing, wasted = (
        "of them while files of a version were written",
        "of them in a block that a kill cut off before it was kept",
    )
    failed, mixed = kept["questions that failed (must be 0)"], kept["answers that mixed generations (must be 0)"]
    damaged = kept["live versions that did not verify (must be 0)"]
    again = kept["texts encoded though their vector was kept (must be 0)"]
    for what, *counts in (
        ("", ""),
        (f"builds killed, {writing}", kept["builds killed"], kept[writing]),
        ("builds that finished", kept["builds that finished"]),
        (
            "times the live version was verified, and did not verify",
            kept["times the live version was verified"],
            damaged,
        ),
        (
            "questions asked meanwhile, failed, answered from two generations at once",
            kept["questions asked meanwhile"],
            failed,
            mixed,
        ),
        ("texts encoded, of them though their vector was kept", kept["texts encoded"], again),
        ("texts in a block that a kill cut off before it was kept, so that they were encoded once more", kept[wasted]),
    ):
        yield what, ", ".join(map(_shown, counts))


def update() -> Iterator[Sequence[object]]:
    kept = figures("index_rebuild")
    yield "", "s of work", "s of the clock"
    for name in (name.removesuffix(", s of work") for name in kept if name.endswith(", s of work")):
        yield name, f"{kept[f'{name}, s of work']:.2f}", kept[f"{name}, s of the clock"]


def throughput() -> Iterator[Sequence[object]]:
    kept = figures("index_throughput")
    yield "", ""
    yield "texts a second, the whole build", kept["texts a second, build"]
    yield f"texts a second, `encode()` alone, on the same {kept['texts']} texts", kept["texts a second, encode()"]
    yield "ratio", kept["ratio on the same texts"]
    chunks = f"ratio where `encode()` has the {kept['chunks']} chunks alone, and the build its segments too"
    yield chunks, kept["ratio of chunks a second, the build's segments thrown in"]


def memory() -> Iterator[Sequence[object]]:
    yield "corpus", "documents", "chunks", "segments", "MiB at most", "s of the clock"
    for size, row in figures("index_memory").items():
        yield size, *(row[name] for name in ("documents", "chunks", "segments", "MiB at most", "seconds"))


TABLES: dict[str, Callable[[], Rows]] = {
    "fusion": fusion,
    "plain-retrieval": plain_retrieval,
    "ablations": ablations,
    "confidence": confidence,
    "thresholds": thresholds,
    "sets": sets,
    "kinds": kinds,
    "training": training,
    "loading-speed": loading_speed,
    "fuzzing": fuzzing,
    "crash": crash,
    "update": update,
    "throughput": throughput,
    "memory": memory,
}


if __name__ == "__main__":
    sys.exit(main())
