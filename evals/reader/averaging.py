"""Average trained readers: `python -m evals.reader.averaging FILE FILE …` writes a .safetensors and a .json beside it.

The mean of what each of them adds to the encoder's weights (Wortsman et al., "Model soups", 2022, arXiv:2203.05482),
as thin matrices again: those of the largest singular values.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from evals.reader.history import History, merged
from evals.reader.training import RANK, TARGET
from rag.errors import UserError

Weights = Mapping[str, NDArray[np.float16]]


def averaged(readers: Sequence[Weights], rank: int = RANK) -> dict[str, NDArray[np.float16]]:
    """The mean of the readers' products and heads; each product as two matrices of `rank` columns or rows."""
    result: dict[str, NDArray[np.float16]] = {}
    for name in readers[0]:
        layer, _, kind = name.rpartition(".")
        if kind == "down":
            products = [r[f"{layer}.up"].astype(np.float64) @ r[name].astype(np.float64) for r in readers]
            left, sizes, right = np.linalg.svd(np.mean(products, axis=0), full_matrices=False)
            share = np.sqrt(sizes[:rank])
            result[f"{layer}.up"] = (left[:, :rank] * share).astype(np.float16)
            result[name] = (share[:, None] * right[:rank]).astype(np.float16)
        elif kind != "up":
            result[name] = np.mean([r[name].astype(np.float64) for r in readers], axis=0).astype(np.float16)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Average and write. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.reader.averaging", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a reader that training wrote")
    parser.add_argument("--out", type=Path, default=TARGET, help="what to write (default: the reader that is shipped)")
    given = parser.parse_args(arguments)
    try:
        history = merged([History.read(file) for file in given.files])
        readers = [load_file(file) for file in given.files]
    except (UserError, OSError) as error:
        parser.error(str(error))
    save_file(averaged(readers), given.out)
    history.write(given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
