"""Bytes to text: which encoding a file is in."""

from __future__ import annotations

import codecs

from charset_normalizer import from_bytes

from rag.errors import LoadError

_MARKS = (  # longest first: the UTF-32 mark begins with the UTF-16 one
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DETECTION_BYTES = 256 * 1024
_WESTERN = "cp1252"
_ABOUT_AS_WELL = 0.1
"""In the measures of charset-normalizer, shares from 0 to 1."""


def decode(data: bytes) -> str:
    """The text of a file: by its byte-order mark, else UTF-8, else the most likely encoding.

    The text keeps its own line ends, so offsets are those of the file's characters; a byte-order mark
    is not a character of the text. Raises LoadError for bytes that are no text.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding)
            except UnicodeDecodeError as error:
                raise LoadError(f"begins with a {encoding} mark but is not {encoding} text") from error
    if b"\0" in data[:_DETECTION_BYTES]:
        raise LoadError("is a binary file, not text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        first = max(0, error.start - _DETECTION_BYTES // 2)  # the stretch that tells one encoding from another
    detected = _detected(data[first : first + _DETECTION_BYTES])
    if detected is None:
        raise LoadError("is a binary file or text in no known encoding; save it as UTF-8")
    try:
        return data.decode(detected)
    except UnicodeDecodeError as error:
        raise LoadError("is text in no known encoding; save it as UTF-8") from error


def _detected(data: bytes) -> str | None:
    """The most likely encoding of bytes that are no UTF-8; None where none is likely.

    Where Windows-1252 reads about as well as the best, it is taken: charset-normalizer alone reads French
    and Portuguese as Windows-1257 or -1250, its first in the alphabet of equals.
    """
    matches = from_bytes(data)
    best = matches.best()
    if best is None:
        return None
    western = any(
        _WESTERN in match.could_be_from_charset
        and match.chaos <= best.chaos + _ABOUT_AS_WELL
        and match.coherence >= best.coherence - _ABOUT_AS_WELL / 2
        for match in matches
    )
    return _WESTERN if western else best.encoding
