"""Train the reader: `python -m evals.reader.training --data DIR` writes a .safetensors and a .json beside it.

The bundled encoder's own layers (its embeddings stay as they are) with one linear head that gives each token a start
and an end score; the first token stands for "not here", as in the SQuAD 2.0 readers of Devlin et al. (2018,
arXiv:1810.04805).
"""

from __future__ import annotations

import argparse
import datetime
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from torch import nn

from evals.reader.data import LONGEST, Example, load
from evals.reader.history import History, Round
from rag.adapting import Weights, open_reader, packed, unpacked
from rag.errors import UserError
from rag.exporting import BUNDLED, load_model
from rag.reading import Pair, pair
from rag.settings import load_settings

TARGET = Path(__file__).resolve().parents[2] / "rag" / "reader.safetensors"
_WARM_UP = 0.05
"""Share of all steps in which the rate rises."""
_TOKENS = 4096
"""Of a batch, padding included."""
_POOL = 2048
"""Examples that are sorted by length together."""


class Reader(nn.Module):
    """The encoder, its layers free to learn, and the head."""

    def __init__(self) -> None:
        super().__init__()
        transformer = load_model(BUNDLED)[0]
        self.bert = transformer.auto_model
        self.bert.set_attn_implementation("eager")  # on short texts 1.5 times as fast as what torch chooses
        self.bert.requires_grad_(False)
        self.bert.encoder.requires_grad_(True)
        self.head = nn.Linear(self.bert.config.hidden_size, 2)

    def forward(self, ids: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """Start and end logits, (batch, tokens, 2); -10,000 where the text is not, but for the first token."""
        mask = ids != 0
        states = self.bert(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
        logits: torch.Tensor = self.head(states).float()
        allowed = (types == 1) & mask
        allowed[:, 0] = True
        # not minus infinity, which is no number when the loss multiplies it by a likelihood of 0
        return logits.masked_fill(~allowed.unsqueeze(-1), -1e4)

    def trained(self) -> dict[str, NDArray[np.float32]]:
        """What has been learned."""
        return {name: parameter.detach().numpy() for name, parameter in self.learning()}

    def go_on_from(self, weights: Weights) -> None:
        """Take over weights that were trained before. Raises KeyError where one is missing."""
        with torch.no_grad():
            for name, parameter in self.learning():
                parameter.copy_(torch.from_numpy(weights[name]))

    def learning(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters that learn, by their names in `rag.adapting`."""
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                yield name.removeprefix("bert."), parameter


@dataclass(frozen=True, slots=True)
class Row:
    """An example as tokens."""

    pair: Pair
    spans: tuple[tuple[int, int], ...]
    """Positions of each answer's first and last token; (0, 0) alone where the text does not answer."""


def rows(examples: Sequence[Example], tokenizer: Tokenizer) -> list[Row]:
    """The examples as tokens. Answers that are cut off are left out, and so are examples that had no other."""
    found = []
    for example in examples:
        read = pair(tokenizer, example.question, example.text)
        spans = [_tokens(read, start, end) for start, end in example.spans]
        held = tuple(span for span in spans if span)
        if held or not example.answered:
            found.append(Row(read, held or ((0, 0),)))
    return found


def _tokens(read: Pair, start: int, end: int) -> tuple[int, int] | None:
    """Positions of the first and last token of characters of the text; None where they were cut off."""
    inside = [i for i, (first, last) in read.offsets() if first < end and last > start and last > first]
    return (inside[0], inside[-1]) if inside else None


def batches(data: Sequence[Row], chance: random.Random) -> Iterator[list[Row]]:
    """Batches of rows of like length, in random order."""
    data = list(data)
    chance.shuffle(data)
    made: list[list[Row]] = []
    for at in range(0, len(data), _POOL):
        batch: list[Row] = []
        for row in sorted(data[at : at + _POOL], key=lambda row: len(row.pair.ids)):
            if batch and len(row.pair.ids) * (len(batch) + 1) > _TOKENS:
                made.append(batch)
                batch = []
            batch.append(row)
        made.append(batch)
    chance.shuffle(made)
    yield from made


def tensors(batch: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids and types of a batch, padded, and how likely each token is a start and an end, (batch, tokens, 2): one
    answer as likely as another."""
    width = max(len(row.pair.ids) for row in batch)
    ids, types = torch.zeros(len(batch), width, dtype=torch.long), torch.zeros(len(batch), width, dtype=torch.long)
    likely = torch.zeros(len(batch), width, 2)
    for i, row in enumerate(batch):
        ids[i, : len(row.pair.ids)] = torch.tensor(row.pair.ids)
        types[i, : len(row.pair.types)] = torch.tensor(row.pair.types)
        for start, end in row.spans:
            likely[i, start, 0] += 1 / len(row.spans)
            likely[i, end, 1] += 1 / len(row.spans)
    return ids, types, likely


def train(
    data: Sequence[Row], seed: int, minutes: float, *, rate: float, start: Path | None = None
) -> tuple[Reader, int]:
    """Train on all rows once, or for the time given where that is over first; from `rate` the learning rate falls to 0
    either way.

    `start` is a file of a reader trained before, from which this one goes on. Returns the reader and how many rows it
    saw.
    """
    torch.manual_seed(seed)
    chance = random.Random(seed)  # noqa: S311
    reader = Reader().train()
    if start is not None:
        reader.go_on_from(unpacked(load_file(start)))
    for module in reader.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # a round sees each example once: nothing to overfit
    learning = [parameter for _, parameter in reader.learning()]
    optimizer = torch.optim.AdamW(learning, lr=rate, weight_decay=0.01)
    steps = list(batches(data, chance))
    began, seen, loss_mean = time.monotonic(), 0, 1.0
    for step, batch in enumerate(steps):
        progress = max(step / len(steps), (time.monotonic() - began) / (60 * minutes))
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, progress / _WARM_UP, (1 - progress) / (1 - _WARM_UP))
        ids, types, likely = tensors(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = reader(ids, types)
        loss = nn.functional.cross_entropy(logits.transpose(1, 2).flatten(0, 1), likely.transpose(1, 2).flatten(0, 1))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        seen += len(batch)
        loss_mean += 0.02 * (loss.item() - loss_mean)
        if step % 25 == 0:
            took = time.monotonic() - began
            print(f"{step}/{len(steps)} loss {loss_mean:.3f} {took:.0f} s", file=sys.stderr, flush=True)
    return reader, seen


def main(arguments: Sequence[str] | None = None) -> int:
    """Load, train, write. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m evals.reader.training", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the training sets (*.jsonl.xz)")
    parser.add_argument("--minutes", type=float, default=60, help="of training, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1.2e-4, help="of learning, at its highest")
    parser.add_argument("--start", type=Path, help="a reader trained before, from which this one goes on")
    parser.add_argument(
        "--hard", type=Path, help="a reader trained before: most near misses are what it believes most of several"
    )
    parser.add_argument("--out", type=Path, default=TARGET, help="what to write (default: the reader that is shipped)")
    given = parser.parse_args(arguments)
    try:
        history = History.read(given.start) if given.start else History()
        deceived = open_reader(load_settings().settings.cache_dir, given.hard.read_bytes()) if given.hard else None
        examples = load(given.data, given.seed, deceived)
    except (UserError, OSError) as error:
        parser.error(str(error))
    tokenizer = Tokenizer.from_str(load_model(BUNDLED).tokenizer.backend_tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    reader, seen = train(rows(examples, tokenizer), given.seed, given.minutes, rate=given.rate, start=given.start)
    save_file(packed(reader.trained()), given.out)
    latest = Round(
        trained=datetime.date.today().isoformat(),
        command=f"python -m evals.reader.training --data DIR --minutes {given.minutes:g} --seed {given.seed}"
        f" --rate {given.rate:g}" + (" --start FILE" if given.start else "") + (" --hard FILE" if given.hard else ""),
        longest_text=LONGEST,
        examples_seen=seen,
        sets=dict(sorted(Counter(example.origin for example in examples).items())),
    )
    history.then(latest).write(given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
