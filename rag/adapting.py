"""The reader as one ONNX graph, made once: the bundled encoder's embeddings, and layers that were trained.

What is shipped (reader.safetensors, reader.json) is only what was trained: the layers, their weights in 8 bits as the
graph has them, and the head. `evals.reader.training` makes them. The graph is written here node by node, without
PyTorch: onnxruntime multiplies with weights of 8 bits only where it is told to, and nothing stands in it that costs
time and is not used.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.encoding import Encoder, open_exported
from rag.exporting import BUNDLED_SHA256, bundled_folder, cannot_be_kept, publish
from rag.reading import Reader
from rag.settings import Settings

if TYPE_CHECKING:
    from onnx import ModelProto

Weights = Mapping[str, NDArray[np.float32]]
"""By the names that BERT's layers have in transformers; the head beside them."""
HEADS = 12
_EPSILON = 1e-12
_MOST = 63
"""Of a weight: one bit is left unused, so that processors without VNNI do not overflow and all give the same."""
_FORMAT = "4"
"""Changes whenever the exported files do, so that older exports are made again."""


def reader_for(encoder: Encoder, settings: Settings) -> Reader | None:
    """The reader that goes with an encoder; None where the settings want none or it goes with another encoder.

    Who chooses another encoder may do so for the language of their documents, and the reader was trained on English.
    """
    if not settings.reader or encoder.card.sha256 != BUNDLED_SHA256:
        return None
    return open_reader(settings.cache_dir)


def open_reader(cache_dir: Path, trained: bytes | None = None) -> Reader:
    """The reader with these trained layers, or the shipped one; the first use writes its graph below `cache_dir`.

    Raises EncoderError.
    """
    trained = trained or resources.files("rag").joinpath("reader.safetensors").read_bytes()
    digest = hashlib.sha256(trained).hexdigest()
    folder = cache_dir / "encoders" / f"reader-{BUNDLED_SHA256[:12]}-{digest[:12]}-{_FORMAT}"
    try:
        if not (folder / "encoder.json").exists():
            _export(trained, folder)
        return Reader(*open_exported(folder, optimized=False)[1:])
    except OSError as error:
        raise cannot_be_kept("reader", cache_dir, error) from error


def _export(trained: bytes, folder: Path) -> None:
    """Write the graph and the tokenizer to `folder`, whole or not at all."""
    bundled = bundled_folder()
    model = graph(adapted((bundled / "model.safetensors").read_bytes(), trained)).SerializeToString()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as scratch:
        target = Path(scratch) / "reader"
        target.mkdir()
        (target / "model.onnx").write_bytes(model)
        shutil.copyfile(bundled / "tokenizer.json", target / "tokenizer.json")
        described = {"model_sha256": hashlib.sha256(model).hexdigest()}
        (target / "encoder.json").write_text(json.dumps(described), encoding="utf-8")
        publish(target, folder)


def adapted(base: bytes, trained: bytes) -> dict[str, NDArray[np.float32]]:
    """The encoder's weights with the trained ones in their places, and the head; both as safetensors."""
    from safetensors.numpy import load

    weights = {name: array for name, array in load(base).items() if array.dtype == np.float32}
    return weights | unpacked(load(trained))


def packed(weights: Weights) -> dict[str, NDArray[Any]]:
    """As they are shipped: the layers' matrices in 8 bits, with a step for each row; the rest in half precision."""
    kept: dict[str, NDArray[Any]] = {}
    for name, array in weights.items():
        if name.startswith("encoder.") and array.ndim == 2:
            kept[name], kept[f"{name}.steps"] = in_8_bits(array)
        else:
            kept[name] = array.astype(np.float16)
    return kept


def unpacked(kept: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """What `packed` made of weights, as they were but for what 8 bits, or half precision for the rest, cannot
    tell apart."""
    weights = {name: array.astype(np.float32) for name, array in kept.items() if not name.endswith(".steps")}
    for name, array in weights.items():
        if f"{name}.steps" in kept:
            array *= kept[f"{name}.steps"][:, None]
    return weights


def in_8_bits(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix as whole numbers, and for each of its rows the step by which they count."""
    steps = np.maximum(np.abs(weight).max(axis=1) / _MOST, np.finfo(np.float32).tiny)
    return np.rint(weight / steps[:, None]).astype(np.int8), steps


def graph(weights: Weights, *, bits: int = 8) -> ModelProto:
    """The layers and the head, for any number and length of texts: token ids and types to logits.

    `bits` is 8, one scale a column, or 32: the weights as they are.
    """
    return _Graph(weights, bits).model()


class _Graph:
    """A graph as it grows, node after node. Every method takes names of tensors and returns the name of its result."""

    def __init__(self, weights: Weights, bits: int) -> None:
        from onnx import NodeProto, TensorProto

        self._weights, self._bits = weights, bits
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}

    def model(self) -> ModelProto:
        from onnx import TensorProto, helper

        mask = self._node("Cast", self._node("Greater", "input_ids", self._constant("none", 0)), to=TensorProto.INT32)
        states = self._embedded()
        layers = len({name.split(".")[2] for name in self._weights if name.startswith("encoder.layer.")})
        for layer in range(layers):
            states = self._layer(f"encoder.layer.{layer}", states, mask)
        logits = self._node("MatMul", states, self._constant("head.weight", self._weights["head.weight"].T))
        self._node("Add", logits, self._constant("head.bias", self._weights["head.bias"]), out="logits")
        made = helper.make_graph(
            self._nodes,
            "reader",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, ("batch", "width"))
                for name in ("input_ids", "token_type_ids")
            ],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("batch", "width", 2))],
            list(self._constants.values()),
        )
        operators = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(made, opset_imports=operators, ir_version=10)

    def _embedded(self) -> str:
        width = self._node("Squeeze", self._node("Shape", "input_ids", start=1, end=2))
        places = self._node("Range", self._constant("none", 0), width, self._constant("one", 1))
        indices = {"word": "input_ids", "token_type": "token_type_ids", "position": places}
        found = [
            self._node("Gather", self._constant(table, self._weights[table]), index)
            for table, index in ((f"embeddings.{kind}_embeddings.weight", index) for kind, index in indices.items())
        ]
        return self._normalized("embeddings.LayerNorm", self._node("Add", *found[:2]), found[2])

    def _layer(self, name: str, states: str, mask: str) -> str:
        """Attention and the two wide layers, each added to what came in (Devlin et al. 2018, arXiv:1810.04805)."""
        attention = f"{name}.attention"
        queries, keys, values = (self._linear(f"{attention}.self.{part}", states) for part in ("query", "key", "value"))
        seen = self._node(
            "MultiHeadAttention", queries, keys, values, "", mask, num_heads=HEADS, domain="com.microsoft"
        )
        seen = self._linear(f"{attention}.output.dense", seen)
        seen = self._normalized(f"{attention}.output.LayerNorm", seen, states)
        wide = self._node("Gelu", self._linear(f"{name}.intermediate.dense", seen))
        narrow = self._linear(f"{name}.output.dense", wide)
        return self._normalized(f"{name}.output.LayerNorm", narrow, seen)

    def _linear(self, name: str, states: str) -> str:
        weight = self._weights[f"{name}.weight"]
        bias = self._constant(f"{name}.bias", self._weights[f"{name}.bias"])
        if self._bits == 32:
            return self._node("Add", self._node("MatMul", states, self._constant(f"{name}.weight", weight.T)), bias)
        values, steps = in_8_bits(weight)
        return self._node(
            "DynamicQuantizeMatMul",
            states,
            self._constant(f"{name}.weight", values.T),
            self._constant(f"{name}.steps", steps),
            self._constant(f"{name}.zeros", np.zeros(len(steps), dtype=np.int8)),
            bias,
            domain="com.microsoft",
        )

    def _normalized(self, name: str, states: str, added: str) -> str:
        """The sum of both."""
        parts = [self._constant(f"{name}.{part}", self._weights[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self._node("LayerNormalization", self._node("Add", states, added), *parts, epsilon=_EPSILON)

    def _node(self, operator: str, *inputs: str, out: str = "", **attributes: object) -> str:
        from onnx import helper

        out = out or f"{operator} {len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [out], **attributes))  # type: ignore[arg-type]
        return out

    def _constant(self, name: str, value: object) -> str:
        from onnx import numpy_helper

        self._constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name
