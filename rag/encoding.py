"""Encoders: texts to vectors.

The query path uses onnxruntime and tokenizers alone; sentence-transformers is imported only to export a
model once (`rag.exporting`) or to run one that cannot be exported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import EncoderError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

Matrix = NDArray[np.float32]
"""Rank 2; a row is one text's vector, of length 1."""
Vector = NDArray[np.float32]
"""Rank 1, of length 1."""
LENGTH_TOLERANCE = 1e-3
"""Of a kept vector's length, against 1: what is further off was changed by a fault of the disk."""
Progress = Callable[[int], None]
"""Called with the number of texts just encoded."""

TOKENS_PER_BATCH = 2048
"""8 chunks of 256 tokens: on two cores a batch of 32 such chunks runs at about half the rate."""


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """What identifies an encoder. Two encoders with equal cards give the same vectors."""

    name: str
    sha256: str
    """In hex: of the bundled encoder's weights, or of another one's weights, tokenizer and module settings."""
    dimension: int
    max_tokens: int
    """Longest input it reads, its own special tokens included; the rest is cut off."""
    query_prompt: str = ""
    """Put before a question."""
    document_prompt: str = ""
    """Put before a document's text."""

    @property
    def id(self) -> str:
        """Name and fingerprint, as the manifest and the answers carry it."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return f"{self.name}@{digest[:12]}"


class Encoder(Protocol):
    """Turns texts into vectors of length 1, so that an inner product is a cosine."""

    @property
    def card(self) -> EncoderCard:
        """What identifies this encoder."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of a document's text as this encoder reads it, its prompt and special tokens included."""
        ...

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> Matrix:
        """One row a text, in the order given."""
        ...

    def encode_query(self, text: str) -> Vector:
        """The vector of a question."""
        ...


def open_exported(
    folder: Path, threads: int = 0, *, optimized: bool = True
) -> tuple[dict[str, Any], Tokenizer, InferenceSession]:
    """What encoder.json in `folder` says, the tokenizer, without padding or truncation, and the model.

    `threads` 0 lets onnxruntime choose; `optimized` False runs the graph as it was written. Raises EncoderError where a
    file is missing or is not the one that was exported.
    """
    import onnxruntime
    from tokenizers import Tokenizer

    try:
        described = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        model = (folder / "model.onnx").read_bytes()
        if hashlib.sha256(model).hexdigest() != described["model_sha256"]:
            raise EncoderError(f"The exported model in {folder} is damaged. Delete that folder; it is made again.")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except EncoderError:
        raise
    except Exception as error:  # tokenizers raises no narrower class for a file that is none of its own
        raise EncoderError(
            f"The exported model in {folder} cannot be read ({error}). Delete that folder; it is made again."
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Its threads wait for work at full speed while a text is encoded, and leave the cores to what comes next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return described, tokenizer, onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class OnnxEncoder:
    """Runs a model exported by `rag.exporting` with onnxruntime."""

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        """Load the exported model in `folder`; `threads` 0 lets onnxruntime choose.

        Raises EncoderError where a file is missing or is not the one that was exported.
        """
        from tokenizers import Tokenizer

        described, self._tokenizer, self._session = open_exported(folder, threads)
        try:
            self._card = EncoderCard(**described["card"])
        except (KeyError, TypeError) as error:
            raise EncoderError(
                f"The exported model in {folder} cannot be read ({error}). Delete that folder; it is made again."
            ) from error
        self._counter = Tokenizer.from_str(self._tokenizer.to_str())
        self._tokenizer.enable_truncation(self._card.max_tokens)

    @property
    def card(self) -> EncoderCard:
        return self._card

    def count_tokens(self, text: str) -> int:
        return len(self._counter.encode(encodable(self._card.document_prompt + text)).ids)

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> Matrix:
        return self._encode([self._card.document_prompt + text for text in texts], progress)

    def encode_query(self, text: str) -> Vector:
        vector: Vector = self._encode([self._card.query_prompt + text], None)[0]
        return vector

    def _encode(self, texts: Sequence[str], progress: Progress | None) -> Matrix:
        vectors = np.empty((len(texts), self._card.dimension), dtype=np.float32)
        token_ids = [encoding.ids for encoding in self._tokenizer.encode_batch([encodable(text) for text in texts])]
        for rows in batches([len(ids) for ids in token_ids]):
            width = max(len(token_ids[row]) for row in rows)
            ids = np.zeros((len(rows), width), dtype=np.int64)
            mask = np.zeros((len(rows), width), dtype=np.int64)
            for i, row in enumerate(rows):
                ids[i, : len(token_ids[row])] = token_ids[row]
                mask[i, : len(token_ids[row])] = 1
            (vectors[rows],) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
            if progress is not None:
                progress(len(rows))
        return vectors


def encodable(text: str) -> str:
    """The text with lone surrogates, which no tokenizer takes, as question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Row numbers grouped by similar length, longest first, each group within TOKENS_PER_BATCH once padded."""
    rows = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    while rows:
        size = max(1, TOKENS_PER_BATCH // max(1, lengths[rows[0]]))
        yield rows[:size]
        rows = rows[size:]


class SentenceTransformerEncoder:
    """Runs any sentence-transformers model by that library itself: for models that cannot be exported."""

    def __init__(self, name: str) -> None:
        """Load a model by name or folder. Raises EncoderError where it cannot be found."""
        from rag.exporting import describe, load_model

        self._model = load_model(name)
        self._card = describe(self._model, name)

    @property
    def card(self) -> EncoderCard:
        return self._card

    def count_tokens(self, text: str) -> int:
        from tokenizers import Tokenizer

        tokenizer, prompted = self._model.tokenizer, encodable(self._card.document_prompt + text)
        if isinstance(tokenizer, Tokenizer):  # of a model of plain word vectors
            return len(tokenizer.encode(prompted).ids)
        return len(tokenizer(prompted, truncation=False)["input_ids"])

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> Matrix:
        vectors = self._encode(texts, self._card.document_prompt)
        if progress is not None:
            progress(len(texts))
        return vectors

    def encode_query(self, text: str) -> Vector:
        vector: Vector = self._encode([text], self._card.query_prompt)[0]
        return vector

    def _encode(self, texts: Sequence[str], prompt: str) -> Matrix:
        # The prompt goes in as such, not as text: some models leave it out when they pool.
        vectors: Matrix = np.asarray(
            self._model.encode(
                [encodable(text) for text in texts], prompt=prompt, normalize_embeddings=True, show_progress_bar=False
            ),
            dtype=np.float32,
        ).reshape(len(texts), self._card.dimension)
        return vectors


class HashingEncoder:
    """A small deterministic encoder for tests: signed hashing of words, so shared words give a high cosine."""

    def __init__(self, dimension: int = 64, max_tokens: int = 256, name: str = "hashing") -> None:
        self._card = EncoderCard(name=name, sha256="0" * 64, dimension=dimension, max_tokens=max_tokens)
        self.encoded = 0
        """Document texts encoded so far."""

    @property
    def card(self) -> EncoderCard:
        return self._card

    def count_tokens(self, text: str) -> int:
        return len(text.split()) + 2

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> Matrix:
        self.encoded += len(texts)
        if progress is not None:
            progress(len(texts))
        return (
            np.stack([self._vector(text) for text in texts])
            if texts
            else np.empty((0, self._card.dimension), np.float32)
        )

    def encode_query(self, text: str) -> Vector:
        return self._vector(text)

    def _vector(self, text: str) -> Vector:
        vector = np.zeros(self._card.dimension, dtype=np.float32)
        for word in text.lower().split():
            digest = hashlib.blake2b(word.strip(".,;:!?\"'()").encode("utf-8", "replace"), digest_size=8).digest()
            vector[int.from_bytes(digest[:4], "little") % len(vector)] += 1.0 if digest[4] % 2 else -1.0
        norm = float(np.linalg.norm(vector))
        if norm == 0.0:
            vector[0] = norm = 1.0
        normalised: Vector = vector / np.float32(norm)
        return normalised
