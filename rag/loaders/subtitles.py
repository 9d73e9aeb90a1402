"""WebVTT and SRT: what was said, with the time of every cue and, where the file names them, the speakers.

Cues are joined into paragraphs, because a cue ends where a line is full, not where a sentence does. A new paragraph
begins with a new speaker, after a pause, and at the end of a sentence once a paragraph is long.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.errors import LoadError
from rag.loaders.content import Content, Writer, clean, one_line
from rag.records import AnchorKind, Source
from rag.texts import decode

_TIMING = re.compile(
    r"^\s*(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})[ \t]+-->[ \t]+(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
)
_VOICE = re.compile(r"<v(?:\.[^ \t>]*)?[ \t]+([^>]{1,100})>")
_TAG = re.compile(r"</?[a-zA-Z0-9:.][^<>]{0,200}>|\{\\[^{}]{0,100}\}")
_NAMED = re.compile(
    r"^(?:>>\s*)?([A-Z][\w.'’-]*(?: (?:[A-Z(][\w.'’()-]*|of|de|von|van|da|al)){0,4}|[A-Z][A-Z .'’-]{1,40}):\s+(?=\S)"
)
_CHANGE = re.compile(r"^>>\s*")
_PAUSE_S = 2.0
_ROLLING_S = 0.1
_LONG = 500
"""Characters after which the end of a sentence ends the paragraph."""
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’)\]]*$")
_MAX_CUES = 200_000


@dataclass(frozen=True, slots=True)
class _Cue:
    start: float
    """Seconds from the beginning."""
    end: float
    speaker: str | None
    """None where the cue does not say."""
    lines: tuple[str, ...]


def load_vtt(data: bytes) -> Content:
    """WebVTT. Raises LoadError where the file has no cue."""
    text = decode(data)
    if not text.startswith("WEBVTT"):
        raise LoadError("does not begin with WEBVTT, as such a file must; if it is an SRT file, name it .srt")
    header = text.partition("\n\n")[0]
    title = header.splitlines()[0][len("WEBVTT") :].strip(" \t-")
    language = next((m[1] for m in [re.search(r"^Language:\s*([A-Za-z-]{2,35})\s*$", header, re.MULTILINE)] if m), "")
    return _content(list(_cues(text)), Source(title=one_line(title)[:300], kind="transcript", language=language))


def load_srt(data: bytes) -> Content:
    """SubRip. Raises LoadError where the file has no cue."""
    return _content(list(_cues(decode(data))), Source(kind="transcript"))


def _cues(text: str) -> Iterator[_Cue]:
    """The cues in the order of the file. Whatever is no cue (notes, styles, regions) is passed over."""
    timing: re.Match[str] | None = None
    lines: list[str] = []
    count = 0
    for line in [*text.splitlines(), ""]:
        match = _TIMING.match(line) if "-->" in line else None
        if match is None and line.strip():
            if timing is not None:
                lines.append(line)
            continue
        if timing is not None:
            if match is not None and lines and lines[-1].strip().isdigit():
                lines.pop()  # the number of the next cue, where no blank line stands between
            count += 1
            if count > _MAX_CUES:
                raise LoadError(f"has more than {_MAX_CUES:,} cues")
            for part in re.split(r"(?=<v[ \t.])", "\n".join(lines)):  # two voices in one cue
                yield _cue(timing, part)
        timing, lines = match, []


def _cue(timing: re.Match[str], part: str) -> _Cue:
    voice = _VOICE.search(part)
    plain = (one_line(clean(html.unescape(_TAG.sub("", line)))) for line in part.splitlines())
    return _Cue(
        _seconds(*timing.groups()[:4]),
        _seconds(*timing.groups()[4:]),
        one_line(clean(html.unescape(voice[1]))) if voice else None,
        tuple(line for line in plain if line),
    )


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction) / float(10 ** len(fraction))


def _content(cues: Sequence[_Cue], source: Source) -> Content:
    if not any(cue.lines for cue in cues):
        raise LoadError("has no cue with a time and a text")
    names = _names(cues)
    writer = Writer()
    speakers: list[str] = []
    speaker: str | None = None
    before: _Cue | None = None
    begun = 0  # where the paragraph begins
    tail = ""  # the last words written
    for cue in cues:
        lines = _new_lines(cue, before)
        said = " ".join(lines)
        if not said:
            before = before if before is not None and not cue.lines else cue
            continue
        named = _NAMED.match(said)
        turn = cue.speaker
        if turn is None and named and named[1] in names:
            turn, said = named[1], said[named.end() :]
        changed = (turn is not None and turn != speaker) or _CHANGE.match(said) is not None
        said = _CHANGE.sub("", said)
        pause = before is not None and cue.start - before.end >= _PAUSE_S
        full = writer.length - begun > _LONG and _SENTENCE_END.search(tail) is not None
        if changed or pause or full:
            writer.end_lines(2)
            begun = writer.length
        elif writer.length:
            writer.write(" ")
        if changed:
            speaker = turn or ""
            writer.anchor(AnchorKind.SPEAKER, speaker)
            speakers.append(speaker)
        writer.anchor(AnchorKind.TIME, _clock(cue.start))
        writer.write(said)
        before, tail = cue, said[-10:]
    found = tuple(dict.fromkeys(name for name in speakers if name))[:100]
    return Content(
        writer.text(),
        tuple(writer.anchors),
        Source(title=source.title, kind=source.kind, speakers=found, language=source.language),
    )


def _new_lines(cue: _Cue, before: _Cue | None) -> tuple[str, ...]:
    """The lines that the cue before did not show already.

    Rolling captions show a line again above the next one, and alone for an instant. Someone may also say the same
    words twice: a cue that brings nothing new is dropped only where it is too short to be read.
    """
    if before is None or not -_ROLLING_S <= cue.start - before.end <= _ROLLING_S:
        return cue.lines
    most = len(cue.lines) if cue.end - cue.start < _ROLLING_S else len(cue.lines) - 1
    for shown in range(min(most, len(before.lines)), 0, -1):
        if cue.lines[:shown] == before.lines[-shown:]:
            return cue.lines[shown:]
    return cue.lines


def _names(cues: Sequence[_Cue]) -> set[str]:
    """What stands before a colon at the beginning of cues and is a speaker: in capitals, or there more than once."""
    counted = Counter(m[1] for cue in cues if (m := _NAMED.match(" ".join(cue.lines))))
    return {name for name, count in counted.items() if count > 1 or (name.isupper() and len(name) > 2)}


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
