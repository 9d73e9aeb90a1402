"""Cleaning: any text to one line that does nothing to the terminal it is printed on."""

from __future__ import annotations

_JOINERS = "\u200c\u200d"
"""Zero-width non-joiner and joiner: parts of Persian and Hindi words and of emoji."""


def clean(text: str) -> str:
    """Text that is safe to print: white space as single spaces, control and direction-changing characters replaced."""
    return "".join(c if c.isprintable() or c in _JOINERS else "�" for c in " ".join(text.split()))
