"""Follow-up questions: what the earlier questions add to one that cannot be understood alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from rag.encoding import Encoder, Vector
from rag.scoring import Query
from rag.terms import Analyzer, unique_stems

_CONTEXT_WEIGHT = 0.5
"""What a word of an earlier question counts beside one of the question itself."""
_POINTERS = re.compile(
    r"\b(it|its|they|them|their|theirs|he|him|his|she|her|hers|that|those|this|these|there|then|one|ones|former|latter"
    r"|same|such|else|instead|others?)\b",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"\b(?:what|which)\s+(?:\w+\s+){0,4}?(?!(?:is|was|does|has|this|its|us|as|years)\b)\w{3,}(?<!s)s\b(?!['’])"
    r"|\b(?:what|who|which) (?:are|were|all)\b|\bin (?:what|which) ways?\b"
    r"|\b(?:ways?|reasons?|examples?|measures|steps|rates|both|compare|list|kinds|types|parts|efforts)\b"
    r"|\b(?:explain|describe|overview|difference|different)\b|,? and (?:what|how|why|which|who)\b"
    r"|^\s*(?:how|why) (?:do|does|did|is|are|has|have|can|could|would|should)\b",
    re.IGNORECASE,
)
_WHAT_OF_SUBJECT = re.compile(
    r"\s*(?:what|which)\s+(?:\w+\s+){1,4}?(?:do|does|did|are|is|was|were|have|has|can|could|will|would|should|may|might)\s+"
    r"(?P<subject>\w.*)",
    re.IGNORECASE | re.DOTALL,
)
_LEAST_REST = 0.2
"""Length, of 1, that must be left of a question without its subject."""
_OPENINGS = re.compile(
    r"\s*(and|but|or|so|also|why|how so|how come|what about|how about|what else|in which|since when)\b", re.IGNORECASE
)


def needs_context(question: str, analyzer: Analyzer) -> bool:
    """True where a question points back: a pronoun, an opening such as "and …", or hardly a word of its own."""
    content = [term for term in analyzer.content_terms(question) if len(term.word) > 1]
    if _OPENINGS.match(question) and len(content) <= 4:
        return True
    return bool(_POINTERS.search(question)) or len(content) <= 1


def asks_for_several(question: str) -> bool:
    """True where a question asks for more than one thing: a plural, reasons, ways, a list, or two questions in one."""
    return bool(_SEVERAL.search(question))


def _focus(question: str, vector: Vector, encoder: Encoder) -> Vector | None:
    """What is asked about the subject: the question's vector without the part that is the subject's own.

    "What hurdles do provincial governments face" asks for hurdles; a reply on provincial governments names
    many other things first.
    """
    parted = _WHAT_OF_SUBJECT.match(question)
    if parted is None:
        return None
    subject = encoder.encode_query(parted["subject"])
    rest = vector - float(vector @ subject) * subject
    return _normalised(rest) if float(np.linalg.norm(rest)) > _LEAST_REST else None


def understand(question: str, history: Sequence[str], encoder: Encoder, analyzer: Analyzer) -> Query:
    """The question as retrieval sees it, with the subject of the latest earlier questions where it points back."""
    own = unique_stems(analyzer.content_terms(question))
    vector = encoder.encode_query(question)
    several, focus = asks_for_several(question), _focus(question, vector, encoder)
    if not history or not needs_context(question, analyzer):
        return Query(question, vector, tuple(own), (1.0,) * len(own), several, question, focus)
    earlier = list(history[-2:])
    # An earlier question that itself points back brings the one before it along.
    context = earlier if needs_context(earlier[-1], analyzer) else earlier[-1:]
    inherited = [stem for stem in unique_stems(analyzer.content_terms(" ".join(context))) if stem not in own]
    alone = " ".join([*context, question])
    return Query(
        question,
        _normalised(vector + encoder.encode_query(alone)),
        (*own, *inherited),
        (1.0,) * len(own) + (_CONTEXT_WEIGHT,) * len(inherited),
        several,
        alone,
        focus,
    )


def _normalised(vector: Vector) -> Vector:
    result: Vector = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return result
