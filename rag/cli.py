"""The command `rag`: data on stdout, notes and progress on stderr.

Exit codes: 0 done · 1 refused or failed, with one line that says why · 2 the command itself was wrong ·
3 the index was built, but some files were left out.
"""

from __future__ import annotations

import argparse
import codecs
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from rag.cleaning import clean
from rag.errors import RagError, UserError
from rag.settings import Effective, Settings, load_settings, unknown_variables

DONE, FAILED, WRONG_USE, INCOMPLETE = 0, 1, 2, 3
_MOST_WORDS = 100_000
"""Of one search."""
_MOST_SAMPLED = 1_000_000
"""Chunks encoded again by one `rag verify`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        flags = {f.name: getattr(given, f.name, None) for f in fields(Settings)}
        effective = load_settings(flags, file=given.config)
        for variable in unknown_variables():
            note(f"rag: {variable} in the environment is no setting and is ignored; rag info lists the settings")
        command: Callable[[argparse.Namespace, Effective], int] = given.command
        code = command(given, effective)
        sys.stdout.flush()  # here, where a reader that has gone is no error
        return code
    except RagError as error:
        note(f"rag: {error}")
        return FAILED
    except KeyboardInterrupt:
        note("rag: stopped")
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `rag search … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def run() -> NoReturn:
    """Entry point of the command."""
    codecs.register_error("json", _escaped)
    for stream in (sys.stdout, sys.stderr):  # a character the terminal cannot show must not end the program
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="json")
    raise SystemExit(main())


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler: characters as JSON escapes them, so that JSON stays JSON in any encoding."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def note(text: str) -> None:
    """One line for the person at the terminal; nothing in it acts on the terminal."""
    print(clean(text), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rag", description="Ask your own documents, get their own words back.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--index", type=Path, default=Path("index"), metavar="DIR", help="the index folder (default: index)"
    )
    common.add_argument(
        "--config", type=Path, metavar="FILE", help="settings file (default: rag.toml, where there is one)"
    )
    for setting in fields(Settings):
        kind = {"int": int, "float": float}.get(str(setting.type), str)
        flag = "--" + setting.name.replace("_", "-")
        common.add_argument(flag, dest=setting.name, type=kind, metavar=kind.__name__.upper(), help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, handler: Callable[[argparse.Namespace, Effective], int], summary: str
    ) -> argparse.ArgumentParser:
        settings = ", ".join("--" + f.name.replace("_", "-") for f in fields(Settings))
        command = commands.add_parser(
            name, parents=[common], help=summary, description=summary, epilog=f"Settings: {settings}."
        )
        command.set_defaults(command=handler)
        return command

    index = add("index", _upkeep("index"), "Build or update the index from files and folders.")
    index.add_argument("paths", nargs="*", type=Path, default=[Path("seeds")], metavar="PATH", help="default: seeds")
    index.add_argument("--strict", action="store_true", help="refuse to build where anything would be left out")
    index.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    index.add_argument("--watch", action="store_true", help="build again whenever a file changes, until stopped")
    index.add_argument("--json", action="store_true", help="write the report as JSON")

    ask = add("ask", _ask, "Answer a question with exact quotes, or say that the documents do not.")
    ask.add_argument("question", nargs="?", help="the question, in quotation marks")
    ask.add_argument(
        "--batch", type=Path, metavar="FILE", help="one JSON object a line: question, optional history (with --json)"
    )
    ask.add_argument("--json", action="store_true", help="write the answer as JSON")

    search = add("search", _search, "List the passages nearest to a query.")
    search.add_argument("query")
    words = _between(1, _MOST_WORDS)
    search.add_argument("--words", type=words, metavar="N", help="N words in all, in fewer and longer passages")
    search.add_argument("--json", action="store_true", help="write the passages as JSON")

    serve = add("serve", _serve, "Open the web chat.")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", type=_between(1, 65535), default=7860, help="port to listen on (default: 7860)")
    serve.add_argument("--mcp", action="store_true", help="offer ask, search, documents and source as MCP tools too")
    serve.add_argument(
        "--root-path",
        type=_root_path,
        default="",
        metavar="PATH",
        help="path under which a reverse proxy shows the chat, such as /tools/chat",
    )
    serve.add_argument(
        "--auth", type=_name_and_password, metavar="USER:PASSWORD", help="ask for these (default: nobody)"
    )
    serve.add_argument(
        "--allowed-host",
        action="append",
        type=_host_name,
        default=[],
        metavar="NAME",
        help="a name the chat is reached by, such as school.example; may be repeated",
    )

    versions = add("versions", _upkeep("versions"), "List the versions of the index.")
    versions.add_argument("--json", action="store_true", help="write as JSON")

    rollback = add("rollback", _upkeep("rollback"), "Make an earlier version of the index live.")
    rollback.add_argument("version", nargs="?", help="default: the one before the live one")

    prune = add("prune", _upkeep("prune"), "Remove the oldest versions of the index, never the live one.")
    prune.add_argument("--keep", type=int, metavar="N", help="versions to keep (default: the setting keep_versions)")

    verify = add("verify", _upkeep("verify_version"), "Check all that can be checked of a version of the index.")
    verify.add_argument("version", nargs="?", help="default: the live one")
    verify.add_argument(
        "--sample",
        type=_between(0, _MOST_SAMPLED),
        default=64,
        metavar="N",
        help="chunks to encode again (default: 64)",
    )
    verify.add_argument("--json", action="store_true", help="write as JSON")

    doctor = add("doctor", _upkeep("doctor"), "Check what this program needs, and name what mends it.")
    doctor.add_argument("--port", type=_between(1, 65535), default=7860, help="port the chat would use (default: 7860)")
    doctor.add_argument("--json", action="store_true", help="write as JSON")

    info = add("info", _info, "Show the settings, where each comes from, and the index.")
    info.add_argument("--json", action="store_true", help="write as JSON")
    return parser


def _name_and_password(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise argparse.ArgumentTypeError("write it as USER:PASSWORD")
    return name, password


def _root_path(text: str) -> str:
    if not re.fullmatch(r"(?:/[\w.~%-]+)*/?", text, re.ASCII):
        raise argparse.ArgumentTypeError("write a path such as /tools/chat")
    return text.rstrip("/")


def _host_name(text: str) -> str:
    if not re.fullmatch(r"[\w.-]+(?::\d+)?", text, re.ASCII):
        raise argparse.ArgumentTypeError("write a name such as school.example, without https:// and path")
    return text


def _between(low: int, high: int) -> Callable[[str], int]:
    """A number on the command line, within bounds."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number between {low} and {high}")
        return value

    return number


def _upkeep(name: str) -> Callable[[argparse.Namespace, Effective], int]:
    """A command of `rag.upkeep`, imported when it is run."""

    def run_it(given: argparse.Namespace, effective: Effective) -> int:
        from rag import upkeep

        command: Callable[[argparse.Namespace, Effective], int] = getattr(upkeep, name)
        return command(given, effective)

    return run_it


def _ask(given: argparse.Namespace, effective: Effective) -> int:
    from rag.assistant import Assistant
    from rag.serializing import answer_json

    if (given.question is None) == (given.batch is None):
        raise UserError(
            'Ask one question, such as: rag ask "What is the digital Silk Road?", or a file of them with --batch.'
        )
    if given.batch is not None and not given.json:
        raise UserError("--batch writes JSON, one answer a line: add --json.")
    if given.batch is not None:
        return _ask_batch(given, effective)
    with Assistant.open(given.index, effective.settings, note) as assistant:
        answer = assistant.ask(given.question)
    if given.json:
        print(json.dumps(answer_json(answer), ensure_ascii=False))
    else:
        from rag.display import show_answer

        show_answer(answer)
    return DONE


def _ask_batch(given: argparse.Namespace, effective: Effective) -> int:
    from rag.assistant import Assistant
    from rag.serializing import answer_json, read_batch

    failed = 0
    with Assistant.open(given.index, effective.settings, note) as assistant:
        for number, line in enumerate(_lines(given.batch), 1):
            if not line.strip():
                continue
            try:
                question, history = read_batch(line)
                result = answer_json(assistant.ask(question, history))
            except UserError as error:
                failed += 1
                note(f"rag: line {number}: {error}")
                result = {"error": str(error)}
            print(json.dumps(result, ensure_ascii=False), flush=True)
    return FAILED if failed else DONE


def _lines(batch: Path) -> Iterator[str]:
    """The lines as they come: a program may wait for an answer before it asks on."""
    try:
        if str(batch) == "-":
            yield sys.stdin.readline().removeprefix("\ufeff")
            yield from sys.stdin
        else:
            with batch.open(encoding="utf-8-sig") as stream:
                yield from stream
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The batch file {batch} cannot be read: {error}.") from error


def _search(given: argparse.Namespace, effective: Effective) -> int:
    from rag.assistant import Assistant

    with Assistant.open(given.index, effective.settings, note) as assistant:
        passages = assistant.search_within(given.query, given.words) if given.words else assistant.search(given.query)
    if given.json:
        from rag.serializing import passage_json

        print(json.dumps([passage_json(passage) for passage in passages], ensure_ascii=False))
    else:
        from rag.display import show_passages

        show_passages(passages)
    return DONE


def _serve(given: argparse.Namespace, effective: Effective) -> int:
    from rag.chat.server import serve

    serve(
        given.index,
        effective.settings,
        given.host,
        given.port,
        mcp=given.mcp,
        root_path=given.root_path,
        auth=given.auth,
        allowed_hosts=given.allowed_host,
    )
    return DONE


def _info(given: argparse.Namespace, effective: Effective) -> int:
    from rag.display import show_info
    from rag.errors import IndexUnavailable
    from rag.serializing import info_json
    from rag.versions import IndexFolder, Manifest

    manifest, problem = None, ""
    try:
        manifest = IndexFolder(given.index).with_live(Manifest.read)
    except IndexUnavailable as error:
        problem = str(error)
    described = info_json(effective, given.index, manifest)
    if given.json:
        print(json.dumps(described, ensure_ascii=False))
    else:
        show_info(described)
    if problem:
        note(f"rag: {problem}")
    return FAILED if problem else DONE


if __name__ == "__main__":
    run()
