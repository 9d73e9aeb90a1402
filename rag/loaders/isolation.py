"""Reading a file in a process of its own, which may use so much memory and time and no more."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rag.errors import LoadError
from rag.loaders.content import Content
from rag.loaders.worker import OUT_OF_MEMORY, receive, send

_FILES_PER_PROCESS = 200
"""Then a fresh process takes over: what a library leaks does not add up."""
_PACKAGE = Path(__file__).resolve().parent.parent.parent
_OWN_PATH = os.environ.get("PYTHONPATH", "").split(os.pathsep)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost."""

    seconds: float = 60.0
    """Both of the clock and of the processor."""
    seconds_per_mib: float = 2.0
    """More for each MiB of the file."""
    memory_mib: int = 1536
    """Address space of the process."""
    text_mib: int = 256
    """What comes back."""


class ReaderFailed(LoadError):
    """It was not the file alone that kept it from being read. Another time, on another machine, it may be read."""


class LimitReached(ReaderFailed):
    """A file took more than it may."""


class Isolated:
    """Reads files one after another in a process that is started when the first one comes. Use as a context manager."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._files = 0

    def __enter__(self) -> Isolated:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None

    def load(self, suffix: str, data: bytes) -> Content:
        """Read one file. Raises LoadError where it cannot be read, ReaderFailed where that may not be its own fault."""
        seconds = self._limits.seconds + self._limits.seconds_per_mib * len(data) / 2**20
        if self._connection is None or self._files >= _FILES_PER_PROCESS:
            self._start()
        self._files += 1
        assert self._connection is not None
        self._connection.settimeout(seconds)
        reply = None
        late = False
        try:
            with contextlib.suppress(ConnectionError):
                send(self._connection, json.dumps({"suffix": suffix, "seconds": seconds}).encode())
                send(self._connection, data)
                reply = receive(self._connection, self._limits.text_mib * 2**20)
        except TimeoutError:
            late = True
        except BaseException:  # stopped by the user: half a reply is of no use to the next file
            self.close()
            raise
        if reply is None:
            raise self._lost(late, seconds)
        raw = json.loads(reply)
        if "reason" in raw:
            raise (ReaderFailed if raw["failed"] else LoadError)(raw["reason"])
        return Content.from_json(raw)

    def _start(self) -> None:
        self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "rag.loaders.worker"),  # -P: nothing from the working directory
                    *(str(theirs.fileno()), str(self._limits.memory_mib * 2**20)),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(_PACKAGE), *_OWN_PATH]))},
                start_new_session=True,  # an interrupt at the keyboard is for the build, which then ends this
            )
        self._connection = ours
        self._files = 0

    def _lost(self, late: bool, seconds: float) -> ReaderFailed:
        """Why no reply came. The process is ended."""
        process = self._process
        assert process is not None
        if not late:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
        code = process.poll()
        self.close()
        if late or code == -signal.SIGXCPU:
            return LimitReached(f"takes longer than {seconds:.0f} seconds to read")
        if code in (OUT_OF_MEMORY, -signal.SIGKILL):
            return LimitReached(f"takes more than {self._limits.memory_mib} MiB of memory to read")
        if code is None:
            return LimitReached(f"holds more than {self._limits.text_mib} MiB of text")
        return ReaderFailed(f"makes its reader crash ({code}); open it in its program and save it anew")
