"""The tree of errors is the one drawn at the top of its module."""

from __future__ import annotations

from rag import errors


def test_everything_raised_on_purpose_has_one_base() -> None:
    """Every error of the module is a RagError, stands in the drawing, and users' mistakes are told apart."""
    tree = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    assert all(issubclass(value, errors.RagError) for value in tree.values())
    assert all(name in (errors.__doc__ or "") for name in tree)
    mistakes = {name for name, value in tree.items() if issubclass(value, errors.UserError)}
    assert {"UserError", "SettingsError", "QuestionError", "SourcesError"} <= mistakes
    assert not mistakes & {"LoadError", "BuildError", "IndexUnavailable", "EncoderError"}
