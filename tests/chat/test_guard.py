"""The guard, in front of an application that would answer anything."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from rag.chat.csp import inline_scripts, policy
from rag.chat.guard import MAX_BODY_BYTES, Guard
from rag.chat.limits import Limiter, Rate
from tests.chat.conftest import awaited

PAGE = b"<html><script>one()</script><script src='/x.js'></script><script type='module'>two()</script></html>"


async def trusting(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body and says yes to everything."""
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"server", b"x"), (b"content-type", b"text/html")]}
    )
    await send({"type": "http.response.body", "body": PAGE})


def guarded(rate: Rate | None = None, **options: object) -> Guard:
    """The guard over the trusting application."""
    limiter = Limiter(rate or Rate(1000, 1000))
    return Guard(trusting, limiter=limiter, **options)  # type: ignore[arg-type]  # passed on


def send(guard: Guard, method: str, path: str, **options: object) -> httpx.Response:
    """One request."""

    async def talk() -> httpx.Response:
        transport = httpx.ASGITransport(app=guard)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860") as client:
            return await client.request(method, path, **options)  # type: ignore[arg-type]  # passed on

    return awaited(talk)


@pytest.mark.parametrize(
    "path", ["/", "/config", "/assets/index-B.js", "/gradio_api/heartbeat/abc123", "/gradio_api/info"]
)
def test_what_the_page_needs_is_open(path: str) -> None:
    """The page, its files and its events pass."""
    assert send(guarded(), "GET", path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload",
        "/gradio_api/upload_progress",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=https://evil.example/x.png",
        "/gradio_api/file/etc/passwd",
        "/file=/etc/passwd",
        "/gradio_api/proxy=https://evil.example/",
        "/gradio_api/component_server",
        "/gradio_api/run/ask",
        "/gradio_api/run-history",
        "/gradio_api/deep_link",
        "/gradio_api/queue/status",
        "/monitoring",
        "/monitoring/summary",
        "/gradio_api/monitoring/summary",
        "/gradio_api/vibe-code",
        "/gradio_api/openapi.json",
        "/openapi.json",
        "/docs",
        "/login",
        "/assets/../config.py",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2f..%2fetc/passwd",
        "/pwa_icon",
        "//etc/passwd",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_gradios_other_routes_are_closed(path: str, method: str) -> None:
    """Upload, file relay, proxy, run history, monitoring and everything else that is not needed is not there."""
    assert send(guarded(), method, path, json={}).status_code == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "localhost.evil:80"]
)
def test_a_foreign_host_is_refused(host: str) -> None:
    """A name that is made to point here (DNS rebinding) gets nothing, neither by GET nor by POST."""
    assert send(guarded(), "GET", "/", headers={"host": host}).status_code == 421
    assert send(guarded(), "POST", "/gradio_api/call/ask", json={}, headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "[::1]:7860", "192.168.1.7:7860", "chat.example"])
def test_own_hosts_are_served(host: str) -> None:
    """This computer's names, addresses, and the names that were allowed."""
    assert send(guarded(hosts=("chat.example",)), "GET", "/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
def test_other_sites_cannot_ask(headers: dict[str, str]) -> None:
    """A page of another origin can neither post nor read, not even from another port of this computer."""
    assert send(guarded(), "POST", "/gradio_api/call/ask", json={}, headers=headers).status_code == 403
    assert send(guarded(), "GET", "/config", headers=headers).status_code == 403


def test_a_link_from_another_site_opens_the_page() -> None:
    """Following a link is no attack."""
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert send(guarded(), "GET", "/", headers=headers).status_code == 200


def test_only_small_json_is_read() -> None:
    """A form, a large body, and either of them without a length are refused."""
    path = "/gradio_api/call/ask"
    assert send(guarded(), "POST", path, data={"a": "b"}).status_code == 415
    assert send(guarded(), "POST", path, content=b"x" * (MAX_BODY_BYTES + 1)).status_code == 413

    async def drip() -> object:
        for _ in range(20):
            yield b"x" * 32_000

    headers = {"content-type": "application/json"}
    assert send(guarded(), "POST", path, content=drip(), headers=headers).status_code == 413
    assert send(guarded(), "POST", path, content=drip(), headers={"content-type": "text/plain"}).status_code == 415


@pytest.mark.parametrize("length", ["²", "-1", "", "9" * 5000])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    """What cannot be read as a number, or is one of thousands of digits, is refused as too large."""
    headers = {"content-type": "application/json", "content-length": length.encode("latin-1")}
    assert send(guarded(), "POST", "/gradio_api/call/ask", content=b"{}", headers=headers).status_code == 413


@pytest.mark.parametrize("path", ["queue/join", "call/ask", "cancel", "reset"])
def test_a_flood_is_refused_politely(path: str) -> None:
    """Beyond the rate an address is told to wait; reading the page stays possible."""
    guard = guarded(Rate(0.001, 3))
    codes = [send(guard, "POST", f"/gradio_api/{path}", json={}).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    assert send(guard, "GET", "/").status_code == 200


def test_an_address_holds_so_many_streams_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that holds too many is told so, others are served, and what ends, well or badly, makes room again."""
    monkeypatch.setattr("rag.chat.guard.MAX_OPEN", 2)
    statuses: list[int] = []

    async def talk() -> None:
        ending = asyncio.Event()

        async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
            await ending.wait()
            if scope["path"].endswith("bad"):
                raise RuntimeError
            await trusting(scope, receive, send)

        guard = Guard(streaming, limiter=Limiter(Rate(1000, 1000)))

        async def get(address: str, name: str) -> None:
            transport = httpx.ASGITransport(app=guard, raise_app_exceptions=False, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                statuses.append((await client.get(f"/gradio_api/heartbeat/{name}")).status_code)

        held = [asyncio.create_task(get("10.0.0.1", name)) for name in ("good", "bad")]
        await asyncio.sleep(0)
        await get("10.0.0.1", "refused")
        held.append(asyncio.create_task(get("10.0.0.2", "other")))
        await asyncio.sleep(0)
        ending.set()
        await asyncio.gather(*held)
        await asyncio.gather(*(get("10.0.0.1", "again") for _ in range(2)))

    awaited(talk)
    assert statuses[0] == 429
    assert sorted(statuses[1:]) == [200, 200, 200, 200, 500]


def test_a_password_is_asked_for_everything_but_health() -> None:
    """With a user and a password set, page, files, endpoints and MCP need them."""
    guard = guarded(auth=("ada", "löve:lace"))
    for path in ("/", "/config", "/assets/x.js", "/gradio_api/mcp/"):
        assert send(guard, "GET", path).status_code == 401
        assert send(guard, "GET", path, auth=("ada", "wrong")).status_code == 401
        assert send(guard, "GET", path, auth=("ada", "löve:lace")).status_code == 200
    assert send(guard, "GET", "/healthz").status_code == 200


def test_passwords_cannot_be_tried_without_end() -> None:
    """After ten wrong passwords an address has to wait: until then no guess tells whether it is right."""
    guard = guarded(auth=("ada", "x"))
    codes = [send(guard, "GET", "/", auth=("ada", f"guess {n}")).status_code for n in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert send(guard, "GET", "/", auth=("ada", "x")).status_code == 429


def test_right_passwords_and_none_cost_nothing() -> None:
    """A class behind one address loads pages without end; requests without a password lock nobody out."""
    guard = guarded(auth=("ada", "x"))
    for _ in range(15):
        assert send(guard, "GET", "/").status_code == 401
        assert send(guard, "GET", "/", auth=("ada", "x")).status_code == 200


def test_an_address_that_waited_can_log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait ends, also for one who goes on asking with the right password: what is refused prolongs nothing."""
    seconds = [0.0]
    guard = guarded(auth=("ada", "x"))
    monkeypatch.setattr(guard._logins, "_clock", lambda: seconds[-1])
    for _ in range(10):
        send(guard, "GET", "/", auth=("ada", "guess"))
    for second in (1.0, 2.0, 3.0, 4.0):
        seconds.append(second)
        assert send(guard, "GET", "/", auth=("ada", "x")).status_code == 429
    seconds.append(5.5)
    assert send(guard, "GET", "/", auth=("ada", "x")).status_code == 200


def test_the_page_allows_its_own_scripts_only() -> None:
    """The policy names the page's inline scripts by hash, and no inline handler could run."""
    response = send(guarded(), "GET", "/")
    given = response.headers["content-security-policy"]
    assert given == policy([b"one()", b"two()"]).decode()
    assert inline_scripts(PAGE) == [b"one()", b"two()"]
    scripts = next(part for part in given.split("; ") if part.startswith("script-src"))
    assert "unsafe-inline" not in scripts
    assert "default-src 'none'" in given
    assert "server" not in response.headers
    assert response.headers["x-content-type-options"] == "nosniff"


def test_health_is_said_without_the_application() -> None:
    """The guard answers itself: it is only there once the index is open."""
    response = send(guarded(), "GET", "/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


def test_a_path_prefix_is_understood() -> None:
    """Behind a proxy that keeps the prefix, the same rules hold."""
    guard = guarded(root_path="/tools/chat")
    assert send(guard, "GET", "/tools/chat/").status_code == 200
    assert send(guard, "GET", "/tools/chat/gradio_api/upload").status_code == 404
    assert send(guard, "GET", "/tools/chatter").status_code == 404


def test_websockets_are_closed() -> None:
    """Nothing here speaks them."""
    sent: list[object] = []

    async def talk() -> None:
        async def receive() -> dict[str, str]:
            return {"type": "websocket.connect"}

        async def keep(message: object) -> None:
            sent.append(message)

        await guarded()({"type": "websocket", "path": "/", "headers": []}, receive, keep)

    awaited(talk)
    assert sent == [{"type": "websocket.close", "code": 1008}]
