"""Settings: one frozen object, read from a file, the environment and flags, in that order, later ones winning."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from rag.errors import SettingsError

DEFAULT_FILE = Path("rag.toml")
ENVIRONMENT_PREFIX = "RAG_"
_SWITCH = {"true": True, "false": False, "on": True, "off": False, "yes": True, "no": False, "1": True, "0": False}


def _default_cache_dir() -> Path:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rag"
    except RuntimeError as error:  # a user without a name, as in some containers
        raise SettingsError(
            "There is no home folder to keep exported encoders in. Name a folder with the setting cache_dir."
        ) from error


def _bounds(low: float, high: float) -> dict[str, tuple[float, float]]:
    return {"bounds": (low, high)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Units are in the names; numbers are bounded: SettingsError where one is outside."""

    encoder: str = "all-MiniLM-L6-v2"
    """The bundled encoder, or the name or folder of any sentence-transformers model."""
    chunk_tokens: int = field(default=254, metadata=_bounds(16, 2048))
    """Longest chunk, in cl100k tokens; never more than the encoder reads."""
    reader: bool = True
    """Read the places that were found with the trained reader: better quotes and abstentions, for more time a question.
    Only with the bundled encoder, whose layers it is."""
    passages: int = field(default=5, metadata=_bounds(1, 100))
    """Passages kept of those retrieved for a question, at most. To choose them by reading, more are retrieved."""
    passage_cutoff: float = field(default=0.38, metadata=_bounds(0.0, 1.0))
    """Passages that score less than this times the best one, once they are read, are left out of an answer."""
    max_quotes: int = field(default=6, metadata=_bounds(1, 6))
    """Quotes shown in one answer, at most."""
    answer_threshold: float = field(default=0.3, metadata=_bounds(0.0, 1.0))
    """Confidence below which the answer is that the documents do not say."""
    max_question_characters: int = field(default=2000, metadata=_bounds(1, 100_000))
    max_file_mib: float = field(default=64.0, metadata=_bounds(0.001, 4096.0))
    """Larger files are skipped and reported."""
    keep_versions: int = field(default=3, metadata=_bounds(1, 1000))
    """Index versions kept on disk, the live one included."""
    cache_dir: Path = field(default_factory=_default_cache_dir)
    """Where exported encoders are kept; shared by all indexes of this user."""

    def __post_init__(self) -> None:
        for declared in fields(self):
            _check_bounds(declared, getattr(self, declared.name), declared.name)


@dataclass(frozen=True, slots=True)
class Effective:
    """Settings and where each value came from."""

    settings: Settings
    origins: dict[str, str]
    """Setting name to "default", "file PATH", "environment RAG_NAME" or "flag"."""


def load_settings(
    flags: Mapping[str, object] | None = None,
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Effective:
    """Read the settings: defaults, then the file, then the environment, then the flags that are not None.

    `file` defaults to rag.toml in the working directory, where there is one. Raises SettingsError for an
    unknown key, a value of the wrong type or out of bounds, or a file that cannot be read.
    """
    environment = os.environ if environment is None else environment
    names = {f.name for f in fields(Settings)}
    values: dict[str, object] = {}
    origins = dict.fromkeys(sorted(names), "default")

    def take(name: str, value: object, origin: str) -> None:
        if name not in names:
            raise SettingsError(f"Unknown setting {name!r} ({origin}). Valid settings: {', '.join(sorted(names))}.")
        values[name] = _convert(name, value, origin)
        origins[name] = origin

    # os.path.isfile, for Path.is_file raises where one may not look
    path = file or (DEFAULT_FILE if os.path.isfile(DEFAULT_FILE) else None)
    if path is not None:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            raise SettingsError(f"The settings file {path} cannot be read: {error}.") from error
        for name, value in table.items():
            take(name, value, f"file {path}")
    for name in sorted(names):
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environment:
            take(name, environment[variable], f"environment {variable}")
    for name, value in (flags or {}).items():
        if value is not None:
            take(name, value, "flag")
    known: dict[str, Any] = values
    return Effective(Settings(**known), origins)


def unknown_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """Environment variables that look like settings and are none: misspelt ones, mostly."""
    environment = os.environ if environment is None else environment
    names = {ENVIRONMENT_PREFIX + f.name.upper() for f in fields(Settings)}
    return sorted(name for name in environment if name.startswith(ENVIRONMENT_PREFIX) and name not in names)


def _convert(name: str, value: object, origin: str) -> object:
    """The value as the setting's type, within its bounds."""
    declared = next(f for f in fields(Settings) if f.name == name)
    kind = {"int": int, "float": float, "str": str, "Path": Path, "bool": bool}[str(declared.type)]
    if kind is bool:
        said = _SWITCH.get(str(value).strip().lower()) if isinstance(value, bool | str) else None
        if said is None:
            raise SettingsError(f"Setting {name} ({origin}) is {value!r}; it must be true or false.")
        return said
    try:
        if isinstance(value, bool) or (kind in (int, float) and not isinstance(value, int | float | str)):
            raise ValueError
        if kind is int and isinstance(value, float):
            raise ValueError
        if kind in (str, Path) and not isinstance(value, str | Path):
            raise ValueError
        if "\0" in str(value) or (kind is Path and not str(value).strip()):  # Path("") is the working directory
            raise ValueError
        converted = kind(value) if kind is not Path else Path(str(value)).expanduser()
    except (ValueError, RuntimeError):  # expanduser raises RuntimeError for a user that is not there
        wanted = {int: "a whole number", float: "a number", str: "text", Path: "a folder"}[kind]
        raise SettingsError(f"Setting {name} ({origin}) is {value!r}; it must be {wanted}.") from None
    _check_bounds(declared, converted, f"{name} ({origin})")
    return converted


def _check_bounds(declared: Field[Any], value: Any, named: str) -> None:
    """Raises SettingsError for a number out of the bounds of its setting."""
    bounds = declared.metadata.get("bounds")
    if bounds and not bounds[0] <= value <= bounds[1]:
        raise SettingsError(f"Setting {named} is {value!r}; it must lie between {bounds[0]:g} and {bounds[1]:g}.")
