"""Average trained readers: `python -m evals.reader.averaging FILE FILE …` writes a .safetensors and a .json beside it.

The mean of their weights (Wortsman et al., "Model soups", 2022, arXiv:2203.05482).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from evals.reader.history import History, merged
from evals.reader.training import TARGET
from rag.adapting import Weights, packed, unpacked
from rag.errors import UserError


def averaged(readers: Sequence[Weights]) -> dict[str, NDArray[np.float32]]:
    """The mean of each weight; the readers are of one shape."""
    return {name: np.mean([reader[name] for reader in readers], axis=0) for name in readers[0]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Average and write. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.reader.averaging", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a reader that training wrote")
    parser.add_argument("--out", type=Path, default=TARGET, help="what to write (default: the reader that is shipped)")
    given = parser.parse_args(arguments)
    try:
        history = merged([History.read(file) for file in given.files])
        readers = [unpacked(load_file(file)) for file in given.files]
    except (UserError, OSError) as error:
        parser.error(str(error))
    save_file(packed(averaged(readers)), given.out)
    history.write(given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
