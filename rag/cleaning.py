"""Cleaning: any text to one line that does nothing to the terminal it is printed on."""

from __future__ import annotations

_JOINERS = "\u200c\u200d"
"""Zero-width non-joiner and joiner: parts of Persian and Hindi words and of emoji."""
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
"""Soft hyphen, zero-width space, word joiner and byte order mark: they only say where a line may be broken."""


def clean(text: str) -> str:
    """Text that is safe to print: white space as single spaces, control and direction-changing characters replaced.

    Marks of where a line may be broken are left out: they stand inside words, and show nothing.
    """
    words = text.translate(_INVISIBLE).split()
    return "".join(c if c.isprintable() or c in _JOINERS else "�" for c in " ".join(words))
