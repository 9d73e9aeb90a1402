"""Put on PYTHONPATH, refuses every network connection but those to this machine: a test that needs another fails."""

from __future__ import annotations

import socket
import sys

_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"})


def _host(event: str, arguments: tuple[object, ...]) -> object:
    """The host an event is about; None where there is none, as for sockets of the file system."""
    target = arguments[0] if event in ("socket.getaddrinfo", "socket.gethostbyname") else arguments[1]
    return target[0] if isinstance(target, tuple) else target if event.startswith("socket.get") else None


def refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook: it sees every socket of this process, however it was made."""
    if event in _EVENTS:
        host = _host(event, arguments)
        name = host.decode() if isinstance(host, bytes) else host
        local = name in (None, "", "localhost", "::1", "0.0.0.0", "::") or str(name).startswith("127.")
        if not local and name != socket.gethostname():
            raise RuntimeError(f"tests use no network, but something wants to reach {name!r}")


sys.addaudithook(refuse_network)
