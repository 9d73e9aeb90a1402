"""What can go wrong, in one tree.

RagError                 base of everything raised on purpose; its message is one line for a person
├── UserError            a mistake of the user: says what was seen, what to do, and the valid choices
│   ├── SettingsError    an unknown key, a value of the wrong type or out of bounds
│   ├── QuestionError    an empty or too long question
│   └── SourcesError     a `sources.toml` that cannot be used
├── LoadError            one file cannot be read; the build goes on without it and reports it
├── BuildError           the build ended without a new version; the live one is untouched
├── IndexUnavailable     there is no index, or it is damaged or does not fit: names the command that mends it
└── EncoderError         a model cannot be found, exported or trusted

Everything else that is raised is a bug.
"""

from __future__ import annotations


class RagError(Exception):
    """Base of every error raised on purpose."""


class UserError(RagError):
    """A mistake of the user."""


class SettingsError(UserError):
    """A setting is unknown or its value cannot be used."""


class QuestionError(UserError):
    """A question cannot be asked as it is."""


class SourcesError(UserError):
    """A `sources.toml` cannot be used."""


class LoadError(RagError):
    """A file cannot be read as a document."""


class BuildError(RagError):
    """A build ended without a new version."""


class IndexUnavailable(RagError):
    """No index can be opened here."""


class EncoderError(RagError):
    """An encoder cannot be had."""
