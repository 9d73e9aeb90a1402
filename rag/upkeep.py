"""The commands of the life of an index: build it, watch its folder, list, verify, roll back and prune its versions."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rag.building import BuildReport, Changes, Incomplete, Watch, build_corpus
from rag.cleaning import clean
from rag.cli import DONE, FAILED, INCOMPLETE, note
from rag.encoding import Encoder
from rag.errors import IndexUnavailable, RagError, UserError
from rag.exporting import open_encoder
from rag.loading import Skipped
from rag.settings import Effective
from rag.verifying import Check, verify
from rag.versions import IndexFolder, Manifest

_LISTED = 10
"""Paths named for each kind of change; the JSON names all."""


def index(given: argparse.Namespace, effective: Effective) -> int:
    """Build, plan or watch."""
    if given.watch and (given.dry_run or given.json):
        raise UserError("--watch goes on until it is stopped; use it without --dry-run and --json.")
    if given.dry_run:
        return _plan(given, effective)
    if given.watch:
        return _watch(given, effective)
    return _build(given, effective, _encoder(effective))


def _build(
    given: argparse.Namespace, effective: Effective, opener: Callable[[], Encoder], *, quiet: bool = False
) -> int:
    try:
        with _progress() as watch:
            report = build_corpus(given.paths, given.index, effective.settings, opener, watch, strict=given.strict)
    except Incomplete as error:
        for loss in error.losses:
            note(f"would be left out: {loss}")
        raise
    _say_skipped(report.skipped)
    for page in report.pages.dropped:
        note(f"left out: {page}")
    for entry in report.unused_entries:
        note(entry)
    if given.json:
        print(json.dumps(asdict(report), ensure_ascii=False))
    elif not (quiet and report.unchanged):
        print(_summary(report))
        if not report.unchanged:
            for line in _details(report):
                print(f"  {line}")
    sys.stdout.flush()
    lost = any(skipped.lost for skipped in report.skipped) or report.pages.dropped
    return INCOMPLETE if lost else DONE


def _plan(given: argparse.Namespace, effective: Effective) -> int:
    from rag.planning import plan_corpus

    plan = plan_corpus(given.paths, given.index, effective.settings, _encoder(effective))
    if given.json:
        print(json.dumps(asdict(plan), ensure_ascii=False))
    else:
        _say_skipped(plan.skipped)
        if plan.up_to_date:
            print(f"Nothing to do: the index holds these {plan.documents} documents.")
        else:
            print(f"A build would make a version of {plan.documents} documents from {plan.files} files:")
            for line in _changes(plan.changes):
                print(f"  {line}")
            print(
                f"  to encode: {plan.chunks_to_encode} chunks and {plan.segments_to_encode} segments, "
                f"about {plan.seconds:.0f} seconds here"
            )
    if given.strict and plan.losses:
        for loss in plan.losses:
            note(f"--strict would refuse: {loss}")
        return FAILED
    return DONE


def _watch(given: argparse.Namespace, effective: Effective) -> int:
    from rag.watching import follow

    opener = _encoder(effective)

    def build() -> None:
        try:
            _build(given, effective, opener, quiet=True)
        except RagError as error:  # the next change may mend it; the live index is as it was
            note(f"rag: {error}")

    note(f"Watching {', '.join(str(path) for path in given.paths)}. Stop with Ctrl-C.")
    try:
        follow(given.paths, given.index, build)
    except KeyboardInterrupt:
        note("rag: stopped")
    return DONE


def versions(given: argparse.Namespace, _: Effective) -> int:
    """List the versions, oldest first."""
    folder = IndexFolder(given.index)
    live, problem = _live_name(folder)
    listed = [_described(folder, name, name == live) for name in folder.names()]
    if given.json:
        print(json.dumps(listed, ensure_ascii=False))
    else:
        for entry in listed:
            mark = "live" if entry["live"] else ""
            if "damaged" in entry:
                print(f"{entry['version']:28} {mark:4}  {clean(str(entry['damaged']))}")
            else:
                print(
                    f"{entry['version']:28} {mark:4}  {entry['created']}  {entry['documents']} documents, "
                    f"{entry['chunks']} chunks, {entry['encoder']}, {entry['mib']} MiB"
                )
    _check_there(folder)
    if problem:
        note(f"rag: {problem}")
    return FAILED if problem else DONE


def rollback(given: argparse.Namespace, _: Effective) -> int:
    """Make an earlier version live, once it has opened."""
    from rag.index import Index

    folder = IndexFolder(given.index)
    _check_there(folder)  # first, for writing makes the folder
    with folder.writing():
        names = folder.names()
        live, _problem = _live_name(folder)
        name = given.version
        if name is None:
            older = names[: names.index(live)] if live in names else names
            if not older:
                raise UserError(f"There is no version before {live}. Versions: {', '.join(names) or 'none'}.")
            name = older[-1]
        elif name not in names:
            raise UserError(f"There is no version {name!r}. Versions: {', '.join(names) or 'none'}.")
        opened = Index.open(folder.versions / name)
        opened.check_spans()
        opened.close()
        folder.make_live(name)
    print(f"Index {name} is live" + (f"; before it was {live}." if live and live != name else "."))
    return DONE


def prune(given: argparse.Namespace, effective: Effective) -> int:
    """Remove the oldest versions."""
    keep = effective.settings.keep_versions if given.keep is None else given.keep
    if keep < 1:
        raise UserError(f"--keep {keep}: at least 1 version is kept, the live one.")
    folder = IndexFolder(given.index)
    _check_there(folder)  # first, for writing makes the folder
    with folder.writing():
        removed = folder.surplus(keep)
        for name in removed:
            folder.remove(name)
    print(f"Removed {len(removed)} versions: {', '.join(removed)}." if removed else "Nothing to remove.")
    return DONE


def verify_version(given: argparse.Namespace, effective: Effective) -> int:
    """Check a version."""
    folder = IndexFolder(given.index)
    if given.version is not None and given.version not in folder.names():
        raise UserError(f"There is no version {given.version!r}. Versions: {', '.join(folder.names()) or 'none'}.")
    path = folder.live() if given.version is None else folder.versions / given.version
    opener = None if given.sample == 0 else _encoder(effective)
    code = _say_checks(verify(path, opener, given.sample), given.json, {"version": path.name})
    if code == FAILED and not path.is_dir():
        raise UserError(f"The version {path.name} was removed by a build while it was checked. Run: rag verify")
    return code


def doctor(given: argparse.Namespace, effective: Effective) -> int:
    """Check everything that is needed."""
    from rag.doctor import examine

    checks = examine(given.index, effective.settings, _encoder(effective), given.port)
    return _say_checks(checks, given.json, {})


def _say_checks(checks: Iterable[Check], as_json: bool, more: dict[str, str]) -> int:
    seen = []
    for check in checks:
        seen.append(check)
        if not as_json:
            print(f"{'ok' if check.ok else 'FAILED':6} {check.name}: {clean(check.said)}", flush=True)
    ok = all(check.ok for check in seen)
    if as_json:
        print(json.dumps({**more, "ok": ok, "checks": [asdict(check) for check in seen]}, ensure_ascii=False))
    return DONE if ok else FAILED


def _say_skipped(skipped: Iterable[Skipped]) -> None:
    for entry in skipped:
        note(f"left out: {entry.path!r} {entry.reason}")


def _summary(report: BuildReport) -> str:
    state = "is up to date" if report.unchanged else "is live"
    parts = [f"{report.documents} documents", f"{report.chunks} chunks", f"{report.encoded} texts encoded"]
    if report.skipped:
        parts.append(f"{len(report.skipped)} files left out")
    return f"Index {report.version} {state}: {', '.join(parts)}."


def _details(report: BuildReport) -> Iterator[str]:
    yield f"{report.files} files seen, {report.documents} indexed, {len(report.skipped)} left out"
    yield from _changes(report.changes)
    if report.pages.seen:
        pages = report.pages
        yield f"pages and slides: {pages.seen} seen, {pages.empty} empty, {len(pages.dropped)} dropped"
    for line in report.notes[:_LISTED]:
        yield clean(line)
    if len(report.notes) > _LISTED:
        yield f"… and {len(report.notes) - _LISTED} more notes; see --json"


def _changes(changes: Changes) -> Iterator[str]:
    for name in ("added", "changed", "renamed", "removed"):
        paths: tuple[str, ...] = getattr(changes, name)
        if paths:
            shown = ", ".join(clean(path) for path in paths[:_LISTED])
            yield f"{name}: {len(paths)} ({shown}{', …' if len(paths) > _LISTED else ''})"
    yield f"unchanged: {changes.unchanged}"


def _described(folder: IndexFolder, name: str, live: bool) -> dict[str, object]:
    path = folder.versions / name
    try:
        manifest = Manifest.read(path)
        size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    except (IndexUnavailable, OSError) as error:  # it may be pruned at this moment
        return {"version": name, "live": live, "damaged": str(error)}
    return {
        "version": name,
        "live": live,
        "created": manifest.created,
        "documents": manifest.documents,
        "chunks": manifest.chunks,
        "encoder": manifest.encoder.name,
        "mib": round(size / 2**20, 1),
    }


def _check_there(folder: IndexFolder) -> None:
    """Raises IndexUnavailable where there is no version."""
    if not folder.names():
        raise IndexUnavailable(f"There is no index in {folder.root}. Build one with: rag index")


def _live_name(folder: IndexFolder) -> tuple[str | None, str]:
    """The live version, or None and what is wrong."""
    try:
        return folder.current(), ""
    except IndexUnavailable as error:
        return None, str(error)


def _encoder(effective: Effective) -> Callable[[], Encoder]:
    """Opens the encoder once, when it is first needed."""
    opened: list[Encoder] = []

    def get() -> Encoder:
        if not opened:
            opened.append(open_encoder(effective.settings.encoder, effective.settings.cache_dir, note))
        return opened[0]

    return get


@contextmanager
def _progress() -> Iterator[Watch]:
    """A progress bar on stderr; silent where stderr is no terminal."""
    from tqdm import tqdm

    with tqdm(unit=" document", disable=not sys.stderr.isatty(), leave=False) as bar:

        def watch(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield watch
