"""Results of benchmarks as files: the figures, and what they were measured with."""

from __future__ import annotations

import datetime
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from evals import identity

FOLDER = Path(__file__).resolve().parent / "results"
COMMIT = identity.commit()
"""Taken on import: what runs is what was checked out then, whatever is committed during a long run."""
LOAD = round(os.getloadavg()[0], 1)
"""Programs that wanted a core in the minute before the run."""


def write(name: str, figures: Mapping[str, object], settings: Mapping[str, object]) -> None:
    """Write results/`name`.json: figures, settings of the run, its command, commit, versions, cores, load and date.

    A folder of this machine that the command names is written as DIR.
    """
    script = Path(sys.argv[0]).resolve()
    shown = script.relative_to(FOLDER.parent.parent) if script.is_relative_to(FOLDER.parent.parent) else script.name
    result = {
        "command": shlex.join(["python", str(shown), *("DIR" if Path(a).is_absolute() else a for a in sys.argv[1:])]),
        "commit": COMMIT,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cores": identity.cores(),
        "load": LOAD,
        "versions": identity.versions(),
        "settings": dict(settings),
        "figures": dict(figures),
    }
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
