"""Question sets by name: the one that ships, and public ones below a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evals.formats import LOADERS, detect
from evals.gold import SEED_QUESTIONS, SEEDS, Format, Question, QuestionSet, load_seeds, unique
from rag.errors import UserError


def load(
    name: str,
    data: Path | None,
    *,
    format: Format | None = None,
    qrels: str | None = None,
    questions: Path = SEED_QUESTIONS,
    documents: Path = SEEDS,
) -> QuestionSet:
    """The question set called `name`: "seeds", or one below the folder `data`.

    For "seeds", `questions` and `documents` may name others in the format of those that ship.
    `name` is a folder or file below `data`, its ending left out or not; where there is none, `data` itself
    is the set. `format` overrides what is seen from the files; `qrels` names the file of a BEIR folder's
    relevance judgements. Raises UserError.
    """
    if data is None:
        if name == Format.SEEDS:
            return load_seeds(questions, documents)
        raise UserError(
            f"The set {name!r} needs a folder: python -m evals run {name} --data FOLDER. Without one: seeds."
        )
    path = _find(name, data)
    format = format or detect(path)
    if format is None or format is Format.SEEDS:
        below = ", ".join(_sets_below(path)) or "none"
        raise UserError(f"{path} holds no question set. Below it: {below}. Formats: {', '.join(LOADERS)}.")
    loaded, asked, left_out = LOADERS[format](path, qrels)
    kept, names = unique(loaded)
    repeated = sum(map(len, names.values())) - len(kept)
    if repeated:
        left_out["documents with the same text as another (indexed once, under all their names)"] = repeated
    once: dict[str, Question] = {}
    for question in asked:
        once.setdefault(question.id, question)
    if len(once) < len(asked):
        left_out["questions with the id of an earlier one"] = len(asked) - len(once)
    if not kept or not asked:
        reasons = "; ".join(f"{count} {reason}" for reason, count in left_out.items()) or "nothing"
        raise UserError(f"{path}, read as {format}, has no question that can be used. Left out: {reasons}.")
    return QuestionSet(name, format, kept, names, tuple(once.values()), dict(left_out))


def limited(questions: QuestionSet, limit: int | None) -> QuestionSet:
    """The set with at most `limit` questions, taken at even distances; all documents stay."""
    total = len(questions.questions)
    if limit is None or limit >= total:
        return questions
    taken = tuple(questions.questions[i * total // limit] for i in range(limit))
    return replace(
        questions, questions=taken, left_out={**questions.left_out, "questions beyond --limit": total - limit}
    )


def _find(name: str, data: Path) -> Path:
    if not data.exists():
        raise UserError(f"There is no folder {data}. Give --data a folder that holds question sets.")
    for ending in ("", ".jsonl", ".json"):
        path = data / f"{name}{ending}"
        if path.exists() and path.resolve().is_relative_to(data.resolve()):
            return path
    return data


def _sets_below(path: Path) -> list[str]:
    folders = [p for p in sorted(path.glob("*")) + sorted(path.glob("*/*")) if p.is_dir()] if path.is_dir() else []
    return [folder.relative_to(path).as_posix() for folder in folders if detect(folder)]
