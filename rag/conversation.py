"""Follow-up questions: what the earlier questions add to one that cannot be understood alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from rag.encoding import Encoder, Vector
from rag.retrieval import Query
from rag.terms import Analyzer, unique_stems

_CONTEXT_WEIGHT = 0.5
"""What a word of an earlier question counts beside one of the question itself."""
_POINTERS = re.compile(
    r"\b(it|its|they|them|their|theirs|he|him|his|she|her|hers|that|those|this|these|there|then|one|ones|former|latter"
    r"|same|such|else|instead|others?)\b",
    re.IGNORECASE,
)
_OPENINGS = re.compile(
    r"\s*(and|but|or|so|also|why|how so|how come|what about|how about|what else|in which|since when)\b", re.IGNORECASE
)


def needs_context(question: str, analyzer: Analyzer) -> bool:
    """True where a question points back: a pronoun, an opening such as "and …", or hardly a word of its own."""
    content = [term for term in analyzer.content_terms(question) if len(term.word) > 1]
    if _OPENINGS.match(question) and len(content) <= 4:
        return True
    return bool(_POINTERS.search(question)) or len(content) <= 1


def understand(question: str, history: Sequence[str], encoder: Encoder, analyzer: Analyzer) -> Query:
    """The question as retrieval sees it, with the subject of the latest earlier questions where it points back."""
    own = unique_stems(analyzer.content_terms(question))
    vector = encoder.encode_query(question)
    if not history or not needs_context(question, analyzer):
        return Query(question, vector, tuple(own), (1.0,) * len(own))
    earlier = list(history[-2:])
    # An earlier question that itself points back brings the one before it along.
    context = earlier if needs_context(earlier[-1], analyzer) else earlier[-1:]
    inherited = [stem for stem in unique_stems(analyzer.content_terms(" ".join(context))) if stem not in own]
    joined = encoder.encode_query(" ".join([*context, question]))
    return Query(
        question,
        _normalised(vector + joined),
        (*own, *inherited),
        (1.0,) * len(own) + (_CONTEXT_WEIGHT,) * len(inherited),
    )


def _normalised(vector: Vector) -> Vector:
    result: Vector = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return result
