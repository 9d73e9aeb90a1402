"""Watching: an index that follows its folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from watchfiles import Change, DefaultFilter, watch

from rag.errors import UserError
from rag.loading import check_apart
from rag.sources import FILE_NAME

_SETTLE_MS = 1000
"""Changes that follow each other within this time are one: an editor writes a file in several steps."""


def follow(
    roots: Sequence[Path], index_dir: Path, build: Callable[[], None], stopped: threading.Event | None = None
) -> None:
    """Call `build` now, and again whenever a file below the roots has changed, until stopped.

    Of a root that is a file, its `sources.toml` is followed too. Changes in the index folder itself, in hidden
    files and in version control are passed over. Files that change while a build runs are seen by the next one.
    Raises UserError where a root is missing or lies in the index folder, or a folder or name below it cannot be
    watched.
    """
    check_apart(roots, index_dir)
    changes = _changes(roots, index_dir, stopped)
    next(changes, None)  # it watches from here on
    build()
    for changed in changes:
        if changed:
            build()


def _changes(
    roots: Sequence[Path], index_dir: Path, stopped: threading.Event | None
) -> Iterator[set[tuple[Change, str]]]:
    """What has changed, again and again; nothing where nothing has for a moment."""
    index = Path(os.path.realpath(index_dir))
    folders, files = set[Path](), set[Path]()

    class _Documents(DefaultFilter):
        def __call__(self, change: Change, path: str) -> bool:
            # Events are named as their root was, relative or through a link: only the real path tells.
            ours = Path(os.path.realpath(path)).is_relative_to(index)
            named = _named(Path(path))
            below = named in files or any(named.is_relative_to(folder) for folder in folders)
            return super().__call__(change, path) and below and not ours and not named.name.startswith(".")

    try:
        missing = next((root for root in roots if not root.exists()), None)
        if missing is not None:
            raise UserError(f"There is no file or folder {str(missing)!r} to watch.")
        for root in roots:
            if root.is_dir():
                folders.add(Path(os.path.realpath(root)))
            else:
                files |= {_named(root), Path(os.path.realpath(root)), _named(root.parent / FILE_NAME)}
        # Of a file its folder, for a program that saves by renaming puts another file in its place.
        yield from watch(
            *folders,
            *{file.parent for file in files},
            watch_filter=_Documents(),
            debounce=_SETTLE_MS,
            step=100,
            rust_timeout=100,
            yield_on_timeout=True,
            stop_event=stopped,
            raise_interrupt=True,
            recursive=bool(folders),
        )
    except (OSError, RuntimeError, UnicodeError) as error:  # a folder that may not be read, a name that is no UTF-8
        raise UserError(f"{', '.join(str(root) for root in roots)} cannot be watched: {error}.") from error


def _named(path: Path) -> Path:
    """The path by the real path of its folder. The file itself may be a link."""
    return Path(os.path.realpath(path.parent), path.name)
