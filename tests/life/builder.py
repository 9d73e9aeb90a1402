"""A build in a process of its own, to be killed: python builder.py SOURCE INDEX."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from rag.building import build_corpus
from rag.encoding import HashingEncoder
from rag.settings import Settings

if __name__ == "__main__":
    build_corpus([Path(sys.argv[1])], Path(sys.argv[2]), Settings(), HashingEncoder)
