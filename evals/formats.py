"""Public question sets in the formats they are published in, read into one common form.

Which format a folder or file has is seen from what is in it. Cases that cannot be used are left out and
counted with the reason; nothing is repaired silently.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from evals.gold import Facet, Format, Question, Stretch, load_documents, unique
from evals.reading import Row, parse_object, read_lines, read_text
from rag.errors import UserError
from rag.records import Document, Source

Named = tuple[str, Document]
"""A document and its name in the set."""
Loaded = tuple[list[Named], list[Question], Counter[str]]
"""Documents, questions, and cases left out by reason."""


def detect(path: Path) -> Format | None:
    """The format of a folder or file; None where it is none of them."""
    if (path / "corpus.jsonl").is_file() and (path / "queries.jsonl").is_file():
        return Format.BEIR
    if (path / "questions_df.csv").is_file():
        return Format.CHROMA
    found = {_detect_file(file) for file in _files(path, ".json", ".jsonl")} - {None}
    if len(found) > 1:
        seen = " or ".join(sorted(map(str, found)))
        raise UserError(f"{path} holds files of several formats. Name one of its files, or choose: --format {seen}.")
    return found.pop() if found else None


def _detect_file(file: Path) -> Format | None:
    if file.suffix == ".json":
        return Format.SQUAD if isinstance(_json(file).values.get("data"), list) else None
    first = next(iter(read_lines(file)), None)
    keys = set(first.values) if first else set()
    if "meeting_transcripts" in keys:
        return Format.QMSUM
    return Format.CLAPNQ if {"passages", "output"} <= keys else None


def _files(path: Path, *endings: str) -> list[Path]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file for file in files if file.suffix in endings and file.is_file()]


def _json(file: Path) -> Row:
    return parse_object(read_text(file), file.name)


def _document(name: str, text: str, title: str = "") -> Named:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return name, Document(digest[:16], name, digest, text, Source(title=title))


def _beir(path: Path, qrels: str | None) -> Loaded:
    """corpus.jsonl, queries.jsonl, qrels/*.tsv. A document's text is its title, an empty line, its text."""
    left_out: Counter[str] = Counter()
    documents: list[Named] = []
    for row in read_lines(path / "corpus.jsonl"):
        title = row.text("title", "").strip()
        text = "\n\n".join(part for part in (title, row.text("text", "").strip()) if part)
        if text:
            documents.append(_document(row.text("_id"), text, title))
        else:
            left_out["documents without text"] += 1
    known = {name for name, _ in documents}
    judged: dict[str, dict[str, int]] = {}
    for query, document, grade in _qrels(_qrels_file(path / "qrels", qrels)):
        judged.setdefault(query, {})[document] = grade
        if grade > 0 and document not in known:
            left_out["relevant documents that are not in the corpus (kept as gold, so never found)"] += 1
    questions: list[Question] = []
    for row in read_lines(path / "queries.jsonl"):
        grades = judged.pop(row.text("_id"), {})
        if not any(grade > 0 for grade in grades.values()):
            left_out["queries without a relevant document in these qrels"] += 1
        elif not row.text("text").strip():
            left_out["queries without text"] += 1
        else:
            questions.append(Question(row.text("_id"), row.text("text"), relevant=grades))
    if judged:
        left_out["judged queries that are not in queries.jsonl"] = len(judged)
    return documents, questions, left_out


def _qrels_file(folder: Path, name: str | None) -> Path:
    files = {file.stem: file for file in _files(folder, ".tsv")} if folder.is_dir() else {}
    chosen = name or ("test" if "test" in files else next(iter(files)) if len(files) == 1 else "")
    if chosen not in files:
        raise UserError(f"{folder} has {', '.join(files) or 'no .tsv file'}. Choose one with: --qrels NAME")
    return files[chosen]


def _qrels(file: Path) -> Iterator[tuple[str, str, int]]:
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        fields = line.split("\t")
        if (number == 1 and fields[-1].strip() == "score") or not line.strip():
            continue
        try:
            query, document, grade = fields
            yield query, document, int(grade)
        except ValueError:
            raise UserError(
                f"{file.name}, line {number}: must be query, document and whole grade, parted by tabs."
            ) from None


def _squad(path: Path, _: str | None) -> Loaded:
    """SQuAD 2.0. Each paragraph is a document; gold is any of the answer spans; no answers: unanswerable."""
    left_out: Counter[str] = Counter()
    documents: list[Named] = []
    questions: list[Question] = []
    for file in _files(path, ".json"):
        for article in _json(file).rows("data"):
            title = article.text("title", "").replace("_", " ")
            for number, paragraph in enumerate(article.rows("paragraphs")):
                name, document = _document(f"{title or file.stem}/{number}", paragraph.text("context"), title)
                documents.append((name, document))
                for qa in paragraph.rows("qas"):
                    answers = [] if qa.flag("is_impossible", False) else qa.rows("answers")
                    spans = [(a.whole("answer_start"), a.text("text")) for a in answers]
                    right = [
                        (at, answer)
                        for at, answer in spans
                        if answer and document.text[at : at + len(answer)] == answer
                    ]
                    if len(right) < len(spans):
                        left_out["questions with an answer that does not stand where the set says"] += 1
                        continue
                    stretches = tuple(sorted({Stretch(document.id, at, at + len(answer)) for at, answer in right}))
                    questions.append(
                        Question(
                            id=qa.text("id"),
                            text=qa.text("question"),
                            facets=(Facet("answer", stretches),) if stretches else (),
                            answerable=bool(stretches),
                            own=(document.id,),
                        )
                    )
    return documents, _with_relevant(questions, documents), left_out


def _with_relevant(questions: Sequence[Question], documents: Sequence[Named]) -> list[Question]:
    """Questions whose relevant documents are those with gold, under every name that their text has in the set."""
    names = unique(documents)[1]
    return [
        replace(q, relevant={name: 1 for facet in q.facets for s in facet.any_of for name in names[s.document]})
        for q in questions
    ]


def _chroma(path: Path, _: str | None) -> Loaded:
    """Chroma's chunking evaluation. Every reference of a question is a facet with one place."""
    left_out: Counter[str] = Counter()
    documents = {Path(document.path).stem: document for document in load_documents(path / "corpora")}
    questions: list[Question] = []
    for number, values in enumerate(csv.DictReader(io.StringIO(read_text(path / "questions_df.csv"), newline=""))):
        row = Row(f"questions_df.csv, question {number}", values)
        document = documents.get(row.text("corpus_id"))
        facets: list[Facet] = []
        for reference in _list(row, "references"):
            start, end = reference.whole("start_index"), reference.whole("end_index")
            if document and start < end and document.text[start:end] == reference.text("content"):
                facets.append(Facet(f"reference {len(facets) + 1}", (Stretch(document.id, start, end),)))
        if document is None:
            left_out["questions of a corpus that is not there"] += 1
        elif not facets or len(facets) < len(_list(row, "references")):
            left_out["questions with a reference that does not stand where the set says"] += 1
        else:
            name = f"{row.text('corpus_id')}-{number}"
            questions.append(
                Question(name, row.text("question"), tuple(facets), own=(document.id,), kind=row.text("corpus_id"))
            )
    return list(documents.items()), questions, left_out


def _qmsum(path: Path, _: str | None) -> Loaded:
    """QMSum. A meeting is a document of lines "Speaker: content"; each gold turn's content is a facet.

    Only questions about a part of the meeting name their turns; the general ones have no gold.
    """
    left_out: Counter[str] = Counter()
    documents: list[Named] = []
    questions: list[Question] = []
    for file in _files(path, ".jsonl"):
        for number, meeting in enumerate(read_lines(file), start=1):
            lines: list[str] = []
            spans: list[tuple[int, int]] = []
            at = 0
            for turn in meeting.rows("meeting_transcripts"):
                content = turn.text("content").strip()
                line = f"{turn.text('speaker').strip()}: {content}"
                spans.append((at + len(line) - len(content), at + len(line)))
                lines.append(line)
                at += len(line) + 1
            name, document = _document(f"{file.stem}-{number}", "\n".join(lines))
            documents.append((name, document))
            left_out["general questions, which name no turns"] += len(meeting.rows("general_query_list", []))
            for i, query in enumerate(meeting.rows("specific_query_list"), start=1):
                turns = _turns(query)
                if not turns or not all(0 <= turn < len(spans) for turn in turns):
                    left_out["questions without gold turns, or with turns outside their meeting"] += 1
                    continue
                said = [turn for turn in turns if spans[turn][0] < spans[turn][1]]
                left_out["gold turns in which nothing is said"] += len(turns) - len(said)
                facets = tuple(Facet(f"turn {turn}", (Stretch(document.id, *spans[turn]),)) for turn in said)
                questions.append(Question(f"{name}-{i}", query.text("query"), facets, own=(document.id,)))
    return documents, questions, +left_out  # without the reasons that no case has


def _turns(query: Row) -> list[int]:
    """The gold turns of a question, numbered from 0, each once; a span names its first and last turn."""
    turns: set[int] = set()
    for span in query.items("relevant_text_span", []):
        if not (isinstance(span, list) and len(span) == 2 and all(str(end).isdigit() for end in span)):
            raise UserError(f"{query.where}: 'relevant_text_span' must be pairs of turn numbers, not {span!r}.")
        turns.update(range(int(span[0]), int(span[1]) + 1))
    return sorted(turns)


def _clapnq(path: Path, _: str | None) -> Loaded:
    """CLAPnq. A passage is a document; every sentence that an annotator selected is a facet."""
    left_out: Counter[str] = Counter()
    documents: list[Named] = []
    questions: list[Question] = []
    for file in _files(path, ".jsonl"):
        for row in read_lines(file):
            own = [
                _document(f"{row.text('id')}-{i}", passage.text("text"), passage.text("title", ""))
                for i, passage in enumerate(_list(row, "passages"), start=1)
            ]
            documents.extend(own)
            sentences = {
                s: None for output in _list(row, "output") for s in output.texts("selected_sentences", []) if s.strip()
            }
            places = [
                next((Stretch(d.id, at, at + len(s)) for _, d in own if (at := d.text.find(s)) >= 0), None)
                for s in sentences
            ]
            found = [place for place in places if place is not None]
            if len(found) < len(sentences):
                left_out["questions with a gold sentence that is not in their passage"] += 1
                continue
            if not found and any(output.text("answer", "").strip() for output in _list(row, "output")):
                left_out["questions with an answer for which no sentence was selected"] += 1
                continue
            questions.append(
                Question(
                    id=row.text("id"),
                    text=row.text("input"),
                    facets=tuple(Facet(f"sentence {i}", (stretch,)) for i, stretch in enumerate(found, start=1)),
                    answerable=bool(found),
                    own=tuple(document.id for _, document in own),
                )
            )
    return documents, _with_relevant(questions, documents), left_out


def _list(row: Row, key: str) -> list[Row]:
    """A list of objects, or the same written as JSON within a text."""
    value = row.values.get(key)
    if isinstance(value, str):
        return parse_object(f'{{"{key}": {value}}}', row.where).rows(key)
    return row.rows(key)


LOADERS: dict[Format, Callable[[Path, str | None], Loaded]] = {
    Format.BEIR: _beir,
    Format.SQUAD: _squad,
    Format.CHROMA: _chroma,
    Format.QMSUM: _qmsum,
    Format.CLAPNQ: _clapnq,
}
"""A folder or file, and the name of its qrels, to what is in it."""
