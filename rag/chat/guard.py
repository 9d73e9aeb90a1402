"""The guard in front of Gradio: a plain ASGI layer, so that streamed answers pass through it untouched.

Gradio leaves routes open that a text chat never needs (upload, file relay, run history, monitoring) and answers any
Host. Here only the routes that the page and the clients use are let through, and only from where they should come.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import json
import re
from collections import Counter
from collections.abc import Collection
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.chat.csp import SECURITY_HEADERS, Headers, inline_scripts, policy
from rag.chat.limits import Limiter, Rate

MAX_BODY_BYTES = 256 * 1024
MAX_OPEN = 500
"""Requests of one address that are being answered, streams with them; each open page holds two."""
HEALTH_PATH = "/healthz"
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_OPEN = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/manifest\.json|/(?:static|assets|svelte)/[\w./@+-]+"
    r"|/gradio_api/(?:info|config|startup-events|app_id|heartbeat/\w+|queue/(?:join|data)|run/predict|cancel|reset"
    r"|call/(?:v2/)?\w+(?:/\w+)?|mcp/?(?:sse|schema|http|messages)?/?)",
    re.ASCII,
)
_LENGTH = re.compile(r"[0-9]{1,20}")
"""A Content-Length that int() reads: not "²", which is a digit as well, nor thousands of digits."""
_PAGE = "/"
_FAILED_LOGINS = Rate(per_second=0.2, burst=10)


class _TooLarge(Exception):
    """The body goes on beyond what is read."""


class Guard:
    """Wraps the application. Every refusal is short and says what was wrong."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limiter: Limiter,
        hosts: Collection[str] = (),
        root_path: str = "",
        auth: tuple[str, str] | None = None,
    ) -> None:
        """`hosts` are names that may be asked for beside this computer's own; an address is always one."""
        self._app = app
        self._limiter = limiter
        self._hosts = {host.lower() for host in (*LOOPBACK_HOSTS, *hosts)}
        self._root_path = root_path.rstrip("/")
        self._login = f"Basic {base64.b64encode(':'.join(auth).encode()).decode()}" if auth else None
        self._logins = Limiter(_FAILED_LOGINS)
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        path = self._path(scope)
        refusal = self._refusal(scope, headers, path)
        if refusal is not None:
            await _reply(send, *refusal)
        elif path == HEALTH_PATH:
            await _reply(send, 200, "ready")
        elif path == _PAGE:
            await self._page(scope, receive, send)
        else:
            await self._pass(scope, receive, send)

    def _path(self, scope: Scope) -> str:
        path = unquote(str(scope["path"]))
        inside = self._root_path and (path == self._root_path or path.startswith(f"{self._root_path}/"))
        return (path[len(self._root_path) :] or "/") if inside else path

    def _refusal(self, scope: Scope, headers: dict[str, str], path: str) -> tuple[int, str, Headers] | None:
        """Why a request is not let through: status, reason and headers to add; None where it is."""
        address = _address(scope)
        host = headers.get("host", "").lower()
        if not self._known(host):
            return 421, "This server does not answer to that host name. Add it with --allowed-host.", []
        if path == HEALTH_PATH:
            return None
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "none")
        if origin is not None and not self._same(origin, host):
            return 403, "Requests from other web sites are refused.", []
        if site in ("cross-site", "same-site") and not (
            scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        ):
            return 403, "Requests from other web sites are refused.", []
        if self._login is not None:
            given = headers.get("authorization", "")
            # Before it is compared: a guesser would pass over the refusals and take the one that is none.
            if given and not self._logins.allow(address, take=0):
                return 429, "Too many wrong passwords. Please wait a few seconds.", [(b"retry-after", b"5")]
            if not hmac.compare_digest(given.encode(), self._login.encode()):
                if given:
                    self._logins.allow(address)
                return (
                    401,
                    "A user name and a password are needed.",
                    [(b"www-authenticate", b'Basic realm="rag", charset="UTF-8"')],
                )
        if not _OPEN.fullmatch(path) or ".." in path:
            return 404, "There is nothing here.", []
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            length = headers.get("content-length", "0")
            if not _LENGTH.fullmatch(length) or int(length) > MAX_BODY_BYTES:
                return 413, "The request is too large.", []
            has_body = length != "0" or "transfer-encoding" in headers  # chunks come without a length
            if has_body and not headers.get("content-type", "").startswith("application/json"):
                return 415, "Only JSON is read.", []
            if not self._limiter.allow(address):
                return 429, "Too many requests. Please wait a few seconds.", [(b"retry-after", b"5")]
        return None

    def _known(self, host: str) -> bool:
        """Whether a Host may be served. A name that is not listed could be made to point here (DNS rebinding)."""
        name = host if host.endswith("]") else host.rsplit(":", 1)[0] if ":" in host else host
        if name in self._hosts or host in self._hosts:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _same(self, origin: str, host: str) -> bool:
        try:
            return urlsplit(origin).netloc.lower() == host
        except ValueError:  # such as an open bracket: no browser sends it
            return False

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page itself, held back until its inline scripts can be named in its policy."""
        plain = {**scope, "headers": [(k, v) for k, v in scope["headers"] if k.lower() != b"accept-encoding"]}
        start: Message = {}
        body = bytearray()

        async def hold(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await send(_with_headers(start, policy(inline_scripts(bytes(body)))))
                await send({"type": "http.response.body", "body": bytes(body)})

        await self._app(plain, receive, hold)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Everything else, as it comes, with bounds on what is read and on what an address holds open."""
        address = _address(scope)
        if self._open[address] >= MAX_OPEN:
            detail = "Too many pages are open here. Please close some."
            await _reply(send, 429, detail, [(b"retry-after", b"5")])
            return
        read = 0
        started = False

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY_BYTES:
                raise _TooLarge
            return message

        async def passed(message: Message) -> None:
            nonlocal started
            started = True
            await send(_with_headers(message, policy()) if message["type"] == "http.response.start" else message)

        self._open[address] += 1
        try:
            await self._app(scope, bounded, passed)
        except _TooLarge:
            if not started:
                await _reply(send, 413, "The request is too large.", [])
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]


def _address(scope: Scope) -> str:
    """Where a request comes from."""
    return str((scope.get("client") or ("unknown",))[0])


def _with_headers(start: Message, content_policy: bytes) -> Message:
    """The start of a response with our headers in place of any of the same names."""
    ours: Headers = [*SECURITY_HEADERS, (b"content-security-policy", content_policy)]
    names = {name for name, _ in ours} | {b"server"}
    return {**start, "headers": [*((k, v) for k, v in start["headers"] if k.lower() not in names), *ours]}


async def _reply(send: Send, status: int, detail: str, headers: Headers | None = None) -> None:
    body = json.dumps({"status" if status == 200 else "detail": detail}).encode()
    start: Message = {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), *(headers or [])],
    }
    await send(_with_headers(start, policy()))
    await send({"type": "http.response.body", "body": body})
