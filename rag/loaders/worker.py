"""The process that reads files of the large formats: one request after another, each within limits it cannot lift.

A request is a header in JSON (suffix, seconds) and the file's bytes; a reply is one JSON object: the content,
or {"reason": …, "failed": …} where the file cannot be read, "failed" true where its loader failed instead of refusing
it. Both begin with their length in 8 bytes. Run by `rag.loaders.isolation`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import sys
import time

from rag.errors import LoadError
from rag.loaders.registry import loader

LENGTH_BYTES = 8


def main() -> None:
    """Serve requests on the socket whose number is the first argument, with the memory of the second, in bytes."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    memory = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a loader has nothing to write
    with contextlib.suppress(OSError, ValueError):  # nor anything to start
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    sys.setrecursionlimit(1000)
    while True:
        header = receive(connection)
        if header is None:
            return
        request = json.loads(header)
        data = receive(connection)
        if data is None:
            return
        used = time.process_time()
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + request["seconds"]) + 1, hard))
        send(connection, _reply(request["suffix"], data))


def _reply(suffix: str, data: bytes) -> bytes:
    failed = False
    try:
        content = loader(suffix)(data)
        return json.dumps(content.to_json()).encode("ascii")
    except LoadError as error:
        reason = str(error)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)  # what is left of this process is not to be trusted
    except RecursionError:
        reason = "is nested too deeply"
    except Exception as error:  # a bug in a loader costs the one file, and is named
        reason, failed = f"cannot be read ({type(error).__name__}: {error})", True
    return json.dumps({"reason": " ".join(reason.split())[:500], "failed": failed}).encode("ascii")


OUT_OF_MEMORY = 77
"""Exit code."""


def send(connection: socket.socket, payload: bytes) -> None:
    """One message."""
    connection.sendall(len(payload).to_bytes(LENGTH_BYTES, "big"))
    connection.sendall(payload)


def receive(connection: socket.socket, most: int = 2**40) -> bytes | None:
    """One message; None where the other side has gone or the message is longer than `most` bytes."""
    head = _exactly(connection, LENGTH_BYTES)
    if head is None or (size := int.from_bytes(head, "big")) > most:
        return None
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        try:
            part = connection.recv(min(2**20, size - len(data)))
        except ConnectionError:
            return None
        if not part:
            return None
        data += part
    return bytes(data)


if __name__ == "__main__":
    main()
