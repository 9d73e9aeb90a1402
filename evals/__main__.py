"""`python -m evals`: results on stdout, progress and notes on stderr, exit code 1 where it cannot go on."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from evals.gold import ROOT, SEED_QUESTIONS, SEEDS, Format
from rag.encoding import Encoder
from rag.errors import RagError, UserError
from rag.settings import Settings

RESULTS = ROOT / "evals" / "results"
BASELINE = RESULTS / "baseline.json"

Notify = Callable[[str], None]
OpenEncoder = Callable[[Settings, Notify], Encoder]


def _open_encoder(settings: Settings, notify: Notify) -> Encoder:
    from rag.exporting import open_encoder

    return open_encoder(settings.encoder, settings.cache_dir, notify)


def main(arguments: Sequence[str] | None = None, open_encoder: OpenEncoder = _open_encoder) -> int:
    """Run one command. 0: done; 1: it could not be done, or what it checks does not hold; 2: wrong usage."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        code: int = given.command(given, open_encoder)
    except RagError as error:
        print(f"evals: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("evals: stopped", file=sys.stderr)
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evals", description="Evaluate retrieval and answers.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="ask a question set and save the result")
    _set_options(run)
    _seeds_options(run)
    _running_options(run)
    run.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="change a setting"
    )
    run.add_argument("--limit", type=_positive, metavar="N", help="ask N questions only, taken at even distances")
    run.add_argument("--own-documents", action="store_true", help="ask each question of its own documents only")
    run.add_argument("--out", type=Path, metavar="FILE", help="where to save the run (default: below evals/results)")
    run.add_argument("--summary", type=Path, metavar="FILE", help="save the figures too, without questions and texts")
    run.set_defaults(command=_run)

    compare = commands.add_parser("compare", help="hold two runs against each other")
    compare.add_argument("a", type=Path, metavar="A")
    compare.add_argument("b", type=Path, metavar="B")
    compare.add_argument("--most", type=_positive, default=10, metavar="N", help="questions shown each way (10)")
    compare.set_defaults(command=_compare)

    grid = commands.add_parser("grid", help="cross settings; a grid that was stopped goes on where it was")
    grid.add_argument("file", type=Path, metavar="FILE", help="a TOML file; see docs/evals.md")
    grid.add_argument("--out", type=Path, metavar="FOLDER", help="where cells are kept (default: below evals/results)")
    _running_options(grid)
    grid.set_defaults(command=_grid)

    report = commands.add_parser("report", help="write one HTML file over several runs; the first is the reference")
    report.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="(default: the baseline and the seeds run)")
    report.add_argument("--data", type=Path, metavar="FOLDER", help="where the runs' sets lie, to show their texts")
    report.add_argument("--qrels", metavar="NAME", help="file of qrels of a BEIR folder")
    report.add_argument("--out", type=Path, default=RESULTS / "report.html", metavar="FILE")
    report.add_argument("--most", type=_positive, default=50, metavar="N", help="changed questions shown per run (50)")
    report.set_defaults(command=_report)

    gate = commands.add_parser("gate", help="fail where the seeds set is answered worse than in the baseline")
    gate.add_argument("--baseline", type=Path, default=BASELINE, metavar="FILE")
    gate.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="change a setting"
    )
    gate.add_argument("--out", type=Path, metavar="FILE", help="save the run too")
    _running_options(gate)
    gate.set_defaults(command=_gate)

    check = commands.add_parser("check", help="verify the gold of a set: by default that of the seeds")
    _set_options(check, default="seeds")
    _seeds_options(check)
    check.set_defaults(command=_check)

    feedback = commands.add_parser("feedback", help="draft gold questions from the answers that readers marked")
    feedback.add_argument("--index", type=Path, default=Path("index"), metavar="FOLDER", help="of the chat (index)")
    feedback.add_argument("--out", type=Path, metavar="FILE", help="add the drafts to a file (default: print them)")
    feedback.set_defaults(command=_feedback)
    return parser


def _set_options(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    optional = {"nargs": "?", "default": default} if default else {}
    parser.add_argument("set", metavar="SET", help="seeds, or a folder or file below --data", **optional)  # type: ignore[arg-type]  # argparse takes these two
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder that holds question sets")
    parser.add_argument(
        "--format", type=Format, choices=[f for f in Format if f is not Format.SEEDS], help="if not seen"
    )
    parser.add_argument("--qrels", metavar="NAME", help="file of qrels of a BEIR folder (test, where there is one)")


def _seeds_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--questions", type=Path, default=SEED_QUESTIONS, metavar="FILE", help="another file in the format of the seeds"
    )
    parser.add_argument(
        "--documents", type=Path, default=SEEDS, metavar="FOLDER", help="the documents it is about (default: seeds)"
    )


def _running_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="where built indexes are kept between runs")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


class _Progress:
    """One line on stderr that is written over; off a terminal, a line every ten seconds."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._last = 0.0

    def __call__(self, line: str) -> None:
        now = time.monotonic()
        if self._quiet or now - self._last < (0.1 if self._terminal else 10):
            return
        self._last = now
        print(
            f"\r\033[K{line}" if self._terminal else line,
            end="" if self._terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    def done(self) -> None:
        if self._terminal and not self._quiet:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _pairs(given: Sequence[str]) -> dict[str, object]:
    pairs: dict[str, object] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--set {pair}: write KEY=VALUE, such as --set passages=10.")
        pairs[key.strip()] = value.strip()
    return pairs


def _run(given: argparse.Namespace, open_encoder: OpenEncoder) -> int:
    from evals import benchmarks, identity, printing, runs
    from evals.running import run

    pairs = _pairs(given.settings)
    settings = identity.settings_from(pairs)
    loaded = benchmarks.load(
        given.set,
        given.data,
        format=given.format,
        qrels=given.qrels,
        questions=given.questions,
        documents=given.documents,
    )
    questions = benchmarks.limited(loaded, given.limit)
    progress = _Progress(given.quiet)
    encoder = open_encoder(settings, progress)
    done = run(
        questions, settings, encoder, given.cache or settings.cache_dir / "evals",
        limit=given.limit, own_documents=given.own_documents, notify=progress,
    )  # fmt: skip
    progress.done()
    path = given.out or RESULTS / _file_name(given, pairs)
    runs.save(done, path)
    if given.summary:
        runs.save_summary(done, given.summary)
    _say(printing.run_summary(done))
    print(f"saved: {path} and, as a TREC run, {path.with_suffix('.trec').name}", file=sys.stderr)
    return 0


def _file_name(given: argparse.Namespace, pairs: dict[str, object]) -> str:
    """Says what is not the default, so that no run of what lies in one folder takes the place of another."""
    asked = {"format": given.format, "limit": given.limit, "qrels": given.qrels}
    parts = [
        given.questions.stem if given.set == Format.SEEDS else given.set,
        *(f"{k}={v}" for k, v in sorted(pairs.items())),
        *(f"{k}={v}" for k, v in asked.items() if v),
    ]
    parts += ["own-documents"] if given.own_documents else []
    return "".join(c if c.isalnum() or c in "=.-_," else "-" for c in ",".join(parts)) + ".json"


def _compare(given: argparse.Namespace, _: OpenEncoder) -> int:
    from evals import comparing, printing, runs

    _say(printing.comparison(comparing.compare(runs.load(given.a), runs.load(given.b)), given.most))
    return 0


def _grid(given: argparse.Namespace, open_encoder: OpenEncoder) -> int:
    from evals import grid, identity, printing

    crossed = grid.read_grid(given.file)
    cache_dir = identity.settings_from({}).cache_dir
    progress = _Progress(given.quiet)
    out = given.out or RESULTS / "grids" / given.file.stem
    cells = grid.run_grid(
        crossed,
        out,
        given.cache or cache_dir / "evals",
        lambda settings: open_encoder(settings, progress),
        progress,
    )
    progress.done()
    changes = grid.against_reference(cells, crossed.measures)
    _say(printing.grid(cells, changes, grid.chosen_measures(cells[0].run, crossed.measures)))
    print(f"saved: {out}", file=sys.stderr)
    return 0


def _report(given: argparse.Namespace, _: OpenEncoder) -> int:
    from evals import report, runs

    paths = given.runs or [path for path in (BASELINE, RESULTS / "seeds.json") if path.exists()]
    if not paths:
        raise UserError("There is no run to report. Make one with: python -m evals run seeds")
    read = [runs.load(path) for path in paths]
    page = report.page(read, [path.stem for path in paths], given.data, qrels=given.qrels, most=given.most)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(page, encoding="utf-8")
    print(given.out)
    return 0


def _gate(given: argparse.Namespace, open_encoder: OpenEncoder) -> int:
    from evals import benchmarks, gate, identity, printing, runs
    from evals.running import run

    baseline = runs.load(given.baseline)
    settings = identity.settings_from(_pairs(given.settings))
    progress = _Progress(given.quiet)
    encoder = open_encoder(settings, progress)
    questions = benchmarks.load("seeds", None)
    now = run(questions, settings, encoder, given.cache or settings.cache_dir / "evals", notify=progress)
    progress.done()
    if given.out:
        runs.save(now, given.out)
    verdicts = gate.judge(baseline, now)
    _say(printing.gate(verdicts))
    failed = [verdict.measure for verdict in verdicts if verdict.failed]
    if failed:
        print(f"evals: the gate is shut: {', '.join(failed)}, worse than in {given.baseline}", file=sys.stderr)
    return 1 if failed else 0


def _check(given: argparse.Namespace, _: OpenEncoder) -> int:
    from evals import benchmarks, gold
    from evals.reading import read_lines

    if given.set == Format.SEEDS and given.data is None:
        rows = list(read_lines(given.questions))
        problems = gold.check(rows, gold.load_documents(given.documents))
        _say(f"{problem.question}: {problem.what}" for problem in problems)
        drafts = sum(bool(row.values.get(gold.DRAFT)) for row in rows)
        left = f", {drafts} of them drafts to confirm" if drafts else ""
        print(f"{len(rows)} questions{left}, {len(problems)} problems", file=sys.stderr)
        return 1 if problems else 0
    questions = benchmarks.load(given.set, given.data, format=given.format, qrels=given.qrels)
    counts = f"{len(questions.documents)} documents, {len(questions.questions)} questions"
    print(f"{questions.name}: {questions.format}, {counts}")
    _say(f"left out: {count} {reason}" for reason, count in questions.left_out.items())
    return 0


def _feedback(given: argparse.Namespace, _: OpenEncoder) -> int:
    from evals import drafts, feedback
    from rag.index import Index
    from rag.versions import IndexFolder

    marks, damaged = feedback.read_marks(given.index / feedback.FILE_NAME)
    index = Index.open(IndexFolder(given.index).live())
    try:
        documents = list(index.store.documents())
    finally:
        index.close()
    files = [SEED_QUESTIONS, *([given.out] if given.out else [])]
    made = drafts.make_drafts(marks, documents, drafts.known_rows(*files))
    if given.out:
        drafts.append(given.out, made.rows)
    else:
        print(drafts.to_lines(made.rows, ascii_only=True), end="")
    for note in (*damaged, *made.notes):
        print(note, file=sys.stderr)
    there = f"; gold or drafts already: {made.known}" if made.known else ""
    print(f"marked answers: {len(marks)}; new drafts: {len(made.rows)}{there}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
