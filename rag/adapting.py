"""The reader as one ONNX graph, made once: the bundled encoder's layers, adapted by small trained matrices.

What is shipped (reader.safetensors, reader.json) is only what was trained: for each linear layer two thin matrices,
whose product is added to its weights, and the head. `evals.reader.training` makes them.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from rag.encoding import Encoder, open_exported
from rag.errors import EncoderError
from rag.exporting import BUNDLED, BUNDLED_SHA256, load_model, publish, quiet
from rag.reading import MAX_TOKENS, Reader, pair, reading_of
from rag.settings import Settings

if TYPE_CHECKING:
    import torch

MAX_DISAGREEMENT = 0.1
"""Between a likelihood as trained and as exported, with weights of 8 bits."""
_PROBES = (
    ("When did the bridge open?", "The harbour is deep. The bridge opened in 1932 after eight years of work."),
    ("When did the bridge close?", "The harbour is deep. The bridge opened in 1932 after eight years of work."),
    ("why are budgets stretched", "um so the budgets are stretched because the provinces took on debt " * 6),
    ("数字经济", "naïveté — ação, Ελλάδα"),
)
_FORMAT = "2"
"""Changes whenever the exported files do, so that older exports are made again."""


def reader_for(encoder: Encoder, settings: Settings, notify: Callable[[str], None] = lambda _: None) -> Reader | None:
    """The reader that goes with an encoder; None where the settings want none or it goes with another encoder.

    Who chooses another encoder may do so for the language of their documents, and the reader was trained on English.
    """
    if not settings.reader or encoder.card.sha256 != BUNDLED_SHA256:
        return None
    return open_reader(settings.cache_dir, notify)


def open_reader(cache_dir: Path, notify: Callable[[str], None] = lambda _: None) -> Reader:
    """The shipped reader; the first use exports it below `cache_dir`. Raises EncoderError."""
    trained = resources.files("rag").joinpath("reader.safetensors").read_bytes()
    digest = hashlib.sha256(trained).hexdigest()
    folder = cache_dir / "encoders" / f"reader-{BUNDLED_SHA256[:12]}-{digest[:12]}-{_FORMAT}"
    try:
        if not (folder / "encoder.json").exists():
            notify("Preparing the reader (once, some 15 seconds)…")
            with quiet():
                _export(trained, folder)
        return Reader(*open_exported(folder)[1:])
    except OSError as error:
        raise EncoderError(
            f"The reader cannot be kept in {cache_dir}: {error.strerror or error}. "
            "Name another folder with the setting cache_dir."
        ) from error


def _export(trained: bytes, folder: Path) -> None:
    """Write the graph and the tokenizer to `folder`, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as scratch:
        target = Path(scratch) / "reader"
        target.mkdir()
        model = load_model(BUNDLED)
        adapted = adapt(model[0].auto_model, trained)
        full = Path(scratch) / "full.onnx"
        write_graph(adapted, full)
        quantize(full, target / "model.onnx")
        model.tokenizer.backend_tokenizer.save(str(target / "tokenizer.json"))
        described = {"model_sha256": hashlib.sha256((target / "model.onnx").read_bytes()).hexdigest()}
        (target / "encoder.json").write_text(json.dumps(described), encoding="utf-8")
        if (difference := disagreement(adapted, Reader(*open_exported(target)[1:]))) > MAX_DISAGREEMENT:
            raise EncoderError(
                f"The exported reader does not agree with the one that was trained (by {difference:.2f}). "
                "Set reader = false to do without it."
            )
        publish(target, folder)


def quantize(full: Path, path: Path) -> None:
    """The graph with weights of 8 bits, a row at a time: read in a third of the time, see docs/choices.md.

    One bit is left unused, so that processors without VNNI do not overflow and all give the same.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(full, path, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)


def adapt(bert: torch.nn.Module, trained: bytes) -> torch.nn.Module:
    """The layers with what was trained added to their weights, and the head: token ids and types to logits."""
    import torch
    from safetensors.torch import load

    weights = {name: tensor.float() for name, tensor in load(trained).items()}
    for name in [name.removesuffix(".down") for name in weights if name.endswith(".down")]:
        layer = bert.get_submodule(name.removeprefix("bert."))
        layer.weight.data += weights[f"{name}.up"] @ weights[f"{name}.down"]  # type: ignore[operator]

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = bert
            self.head = torch.nn.Linear(weights["head.weight"].shape[1], weights["head.weight"].shape[0])
            self.head.load_state_dict({"weight": weights["head.weight"], "bias": weights["head.bias"]})

        def forward(self, input_ids: torch.Tensor, token_type_ids: torch.Tensor) -> torch.Tensor:
            states = self.bert(
                input_ids=input_ids, attention_mask=(input_ids != 0).long(), token_type_ids=token_type_ids
            ).last_hidden_state
            logits: torch.Tensor = self.head(states)
            return logits

    return Graph().eval()


def write_graph(adapted: torch.nn.Module, path: Path) -> None:
    """The adapted layers as ONNX, for any number and length of texts."""
    import torch

    sample = torch.tensor([[1, 2, 3, 4], [1, 3, 2, 0]]), torch.tensor([[0, 0, 1, 1], [0, 1, 1, 0]])
    batch, width = torch.export.Dim("batch", min=1, max=1 << 10), torch.export.Dim("width", min=1, max=MAX_TOKENS)
    with torch.no_grad():
        torch.onnx.export(
            adapted,
            sample,
            path,
            input_names=["input_ids", "token_type_ids"],
            output_names=["logits"],
            dynamic_shapes={"input_ids": {0: batch, 1: width}, "token_type_ids": {0: batch, 1: width}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def disagreement(adapted: torch.nn.Module, reader: Reader) -> float:
    """Largest difference between the likelihoods of the trained layers and of their export, over a few probes."""
    import torch

    differences = []
    for question, text in _PROBES:
        read = pair(reader.tokenizer, question, text)
        with torch.no_grad():
            logits = adapted(torch.tensor([read.ids]), torch.tensor([read.types]))[0]
        own, exported = reading_of(read, logits.double().numpy()), reader.read(question, [text])[0]
        differences.append(max(abs(own.nowhere - exported.nowhere), float(abs(own.weights - exported.weights).max())))
    return max(differences)
