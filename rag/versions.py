"""The index folder: versions side by side, one of them live, changed by one atomic rename.

index/
  CURRENT          name of the live version
  LOCK             held by the one process that writes
  FILES.json       where the files of the last build are; see rag.freshness
  feedback.jsonl   votes given in the chat; see rag.chat.feedback
  versions/<name>/ a complete version; a name with a leading dot is being built or being removed
  cache/           embeddings by content, shared by versions, and documents that are in no version yet
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from rag.encoding import EncoderCard
from rag.errors import BuildError, IndexUnavailable

FORMAT = 3
"""Of the files of a version."""
MANIFEST, STORE, CHUNK_VECTORS, SEGMENT_VECTORS = "manifest.json", "store.sqlite", "vectors.faiss", "segments.faiss"
_DATA_FILES = (STORE, CHUNK_VECTORS, SEGMENT_VECTORS)
_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}(-\d+)?\Z")
REBUILD = "Build it again with: rag index"
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class FileSum:
    """Size and checksum of one file of a version."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a version is made of, by what, and the checksums of its files."""

    version: str
    created: str
    """UTC, ISO 8601."""
    encoder: EncoderCard
    chunk_tokens: int
    preparing_format: int
    corpus_sha256: str
    """Over the paths, contents and sources of its documents."""
    documents: int
    chunks: int
    segments: int
    characters: int
    """Of all texts."""
    files: dict[str, FileSum] = field(default_factory=dict)
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Write as `folder`/manifest.json, with a checksum of its own."""
        raw = asdict(self)
        text = json.dumps({**raw, "manifest_sha256": _digest(raw)}, indent=1, ensure_ascii=False) + "\n"
        (folder / MANIFEST).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read `folder`/manifest.json. Raises IndexUnavailable where it is missing, damaged or of another format."""
        try:
            raw = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if raw.get("format") != FORMAT:
                raise IndexUnavailable(
                    f"The index version {folder.name} has format {raw.get('format')}; "
                    f"this program reads {FORMAT}. {REBUILD}"
                )
            if raw.pop("manifest_sha256", None) != _digest(raw):
                raise ValueError("its checksum does not fit")
            files = {name: FileSum(**entry) for name, entry in raw.pop("files").items()}
            return cls(**{**raw, "encoder": EncoderCard(**raw["encoder"]), "files": files})
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise IndexUnavailable(
                f"The index version {folder.name} is damaged: its manifest cannot be read ({error}). {REBUILD}"
            ) from error

    def check_encoder(self, card: EncoderCard) -> None:
        """Raises IndexUnavailable where the index was built with another encoder."""
        if card != self.encoder:
            raise IndexUnavailable(
                f"The index was built with the encoder {self.encoder.id}, but the settings name {card.id}. "
                f"{REBUILD}, or set encoder = {self.encoder.name!r}."
            )


def _digest(manifest: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def checksums(folder: Path) -> dict[str, FileSum]:
    """Sizes and checksums of a version's data files as they are on disk."""
    found = {}
    for name in _DATA_FILES:
        with open(folder / name, "rb") as stream:
            found[name] = FileSum(os.fstat(stream.fileno()).st_size, hashlib.file_digest(stream, "sha256").hexdigest())
    return found


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raises IndexUnavailable where a data file is missing or is not the one that was built."""
    try:
        seen = checksums(folder)
    except OSError as error:
        raise IndexUnavailable(
            f"The index version {folder.name} is damaged: {error.filename} cannot be read. {REBUILD}"
        ) from error
    for name in _DATA_FILES:
        if seen[name] != manifest.files.get(name):
            raise IndexUnavailable(
                f"The index version {folder.name} is damaged: {name} is not the file that was built. {REBUILD}"
            )


class IndexFolder:
    """The versions below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.versions = root / "versions"
        self.cache = root / "cache"

    def names(self) -> list[str]:
        """Complete versions, oldest first. Raises IndexUnavailable where the folder may not be read."""
        try:
            found = [path.name for path in self.versions.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise IndexUnavailable(
                f"The index folder {self.root} cannot be read: {error.strerror or error}."
            ) from error
        return sorted(filter(_NAME.match, found), key=_age)

    def current(self) -> str | None:
        """Name of the live version; None where there is none. Raises IndexUnavailable where CURRENT names none."""
        try:
            name = (self.root / "CURRENT").read_text(encoding="utf-8").strip()
            there = _NAME.match(name) and (self.versions / name).is_dir()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise IndexUnavailable(f"{self.root / 'CURRENT'} cannot be read ({error}). {REBUILD}") from error
        if not there:
            raise IndexUnavailable(f"{self.root / 'CURRENT'} names no version that is there. {REBUILD}")
        return name

    def live(self) -> Path:
        """Folder of the live version. Raises IndexUnavailable, naming the command, where there is none."""
        name = self.current()
        if name is None:
            raise IndexUnavailable(f"There is no index in {self.root}. Build one with: rag index")
        return self.versions / name

    def with_live(self, use: Callable[[Path], Made]) -> Made:
        """What `use` makes of the folder of the live version. Raises IndexUnavailable.

        A build may remove that version while it is being opened; then it is the turn of the one that is live now.
        """
        before = self._pointer()
        try:
            return use(self.live())
        except IndexUnavailable:
            if self._pointer() == before:
                raise
        return use(self.live())

    def _pointer(self) -> bytes:
        """What stands in CURRENT, right or wrong."""
        try:
            return (self.root / "CURRENT").read_bytes()
        except OSError:
            return b""

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for one writer.

        Raises BuildError where another process writes, or nobody may, or the disk fails while it is held.
        """
        try:
            self.versions.mkdir(parents=True, exist_ok=True)
            lock = open(self.root / "LOCK", "a+", encoding="utf-8")  # noqa: SIM115  closed by the block below
        except OSError as error:
            raise BuildError(f"The index folder {self.root} cannot be written: {error.strerror or error}.") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise BuildError(
                    f"Another process is writing the index in {self.root} "
                    f"(process {lock.read().strip() or 'unknown'}). "
                    "Wait until it is done, or use another folder with --index."
                ) from None
            except OSError as error:  # some network disks know no locks
                raise BuildError(
                    f"The index folder {self.root} cannot be locked: {error.strerror or error}. "
                    "Use a folder on another disk with --index."
                ) from error
            with contextlib.suppress(OSError):  # only a name for others; on a full disk pruning must go on without
                os.ftruncate(lock.fileno(), 0)
                os.write(lock.fileno(), str(os.getpid()).encode("ascii"))
            try:
                yield
            except (OSError, sqlite3.OperationalError) as error:
                raise BuildError(
                    f"The index in {self.root} could not be written: {error}. The live index is as it was."
                ) from error

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder beside the versions, removed at the end unless `publish` has taken it."""
        for stale in self.versions.glob(".*"):  # only the holder of the lock is here: left by a killed build
            shutil.rmtree(stale, ignore_errors=True)
        for leftover in self.root.glob(".CURRENT-*"):
            leftover.unlink(missing_ok=True)
        folder = self.versions / f".building-{os.getpid()}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def new_name(self, corpus_sha256: str) -> str:
        """A name that sorts after all others: by the second, then by a number where a second has several."""
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
        latest, number = max(map(_age, self.names()), default=("", 0))
        base = f"{max(stamp, latest)}-{corpus_sha256[:8]}"  # a clock set back must not make a version old
        return base if stamp > latest else f"{base}-{number + 1}"

    def publish(self, scratch: Path, name: str) -> None:
        """Make a finished version one of the versions. Everything in it is on disk before its name is."""
        for path in scratch.iterdir():
            _sync(path)
        _sync(scratch)
        scratch.rename(self.versions / name)
        _sync(self.versions)

    def make_live(self, name: str) -> None:
        """Swap CURRENT to a version, in one atomic rename.

        Raises BuildError where there is no such version, or where it is live but the disk did not confirm it.
        """
        if name not in self.names():
            raise BuildError(f"There is no version {name!r}. Versions: {', '.join(self.names()) or 'none'}.")
        temporary = self.root / f".CURRENT-{os.getpid()}"
        temporary.write_text(name + "\n", encoding="utf-8")
        _sync(temporary)
        temporary.replace(self.root / "CURRENT")
        try:
            _sync(self.root)
        except OSError as error:
            raise BuildError(
                f"Index {name} is live, but the disk did not confirm it ({error}): after a power cut the one before it "
                "may be. Check the disk, then: rag versions"
            ) from error

    def prune(self, keep: int) -> list[str]:
        """Remove what is surplus, but for what cannot be removed now. Returns what was removed."""
        removed = []
        for name in self.surplus(keep):
            with contextlib.suppress(OSError):  # the next build tries again
                self.remove(name)
                removed.append(name)
        return removed

    def surplus(self, keep: int) -> list[str]:
        """The oldest versions beyond `keep`, never the live one."""
        live = self.current()
        others = [name for name in self.names() if name != live]
        return others[: max(0, len(others) - (keep - (live is not None)))]

    def remove(self, name: str) -> None:
        """Remove a version. Raises OSError where it may not be."""
        doomed = self.versions / f".removing-{name}"
        (self.versions / name).rename(doomed)  # readers that have its files open go on reading
        shutil.rmtree(doomed, ignore_errors=True)


def _age(name: str) -> tuple[str, int]:
    """Sort key: time of building, then the number of a version built in the same second."""
    parts = name.split("-")
    return parts[0], int(parts[2]) if len(parts) > 2 else 0


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
