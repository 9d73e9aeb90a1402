"""The running server: its clients, its ends, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag.chat.server import listen
from rag.errors import UserError
from tests.chat.conftest import Served, Visiting, awaited, free_port, missing, serving
from tests.chat.library import SmallBackend


def client(url: str) -> Any:
    """A gradio_client, as a user's program has it."""
    from gradio_client import Client

    return Client(url, verbose=False)


def test_the_named_endpoints_are_four(served: Served) -> None:
    """Programs see ask, search, documents and source, and none of the page's own events."""
    described = client(served.url).view_api(return_format="dict")
    assert set(described["named_endpoints"]) == {"/ask", "/search", "/documents", "/source"}
    assert described["unnamed_endpoints"] == {}


def test_a_program_can_ask_search_and_read(served: Served) -> None:
    """Each endpoint gives JSON whose offsets lead to the very words."""
    connected = client(served.url)
    documents = {d["id"]: d for d in json.loads(connected.predict(api_name="/documents"))}
    answer = json.loads(connected.predict("Who built the harbour?", api_name="/ask"))
    citation = answer["citations"][0]
    assert citation["document"]["id"] in documents
    place = (citation["document"]["id"], citation["start"], citation["end"])
    assert json.loads(connected.predict(*place, api_name="/source"))["text"] == citation["quote"]
    found = json.loads(connected.predict("harbour toll", 2, [citation["document"]["id"]], api_name="/search"))
    assert [p["rank"] for p in found] == [1, 2]
    assert {p["document"]["id"] for p in found} == {citation["document"]["id"]}


def test_a_program_gets_a_clear_error(served: Served) -> None:
    """A question that is too long and a document that is not there are said, without a traceback."""
    connected = client(served.url)
    with pytest.raises(Exception, match="too many characters"):
        connected.predict("x" * 3000, api_name="/ask")
    with pytest.raises(Exception, match="There is no document"):
        connected.predict("../../etc/passwd", api_name="/source")


def test_inputs_are_only_text_and_state(served: Served) -> None:
    """No event takes a component that a client could make the server build (a Chatbot, for one)."""
    config = httpx.get(f"{served.url}/config").json()
    types = {c["id"]: c["type"] for c in config["components"]}
    inputs = {types[i] for dependency in config["dependencies"] for i in dependency["inputs"]}
    assert inputs <= {"textbox", "state", "api", "json", "number"}, inputs
    assert not {"file", "image", "audio", "video", "multimodaltextbox"} & set(types.values())


def test_mcp_offers_the_same_four_tools(served: Served) -> None:
    """A real MCP client lists the tools, asks, and reads the answer as JSON."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def talk() -> tuple[set[str], dict[str, Any]]:
        async with (
            streamable_http_client(f"{served.url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name for tool in (await session.list_tools()).tools}
            result = await session.call_tool("ask", {"question": "Who built the harbour?"})
            return tools, json.loads(result.content[0].text)  # type: ignore[union-attr]  # text, as asserted below

    tools, answer = awaited(talk)
    assert tools == {"ask", "search", "documents", "source"}
    assert "1874" in answer["citations"][0]["quote"]


async def tell(url: str, question: str, **headers: str) -> list[str]:
    """What an MCP client with these headers gets for a question, for a resource and for a prompt."""
    from mcp import ClientSession, McpError
    from mcp.client.streamable_http import streamable_http_client
    from pydantic import AnyUrl

    async with (
        asyncio.timeout(20),
        httpx.AsyncClient(headers=headers) as http,
        streamable_http_client(f"{url}/gradio_api/mcp/", http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        said = [(await session.call_tool("ask", {"question": question})).content[0].text]  # type: ignore[union-attr]
        for work in (session.read_resource(AnyUrl("file:///x")), session.get_prompt("ask")):
            try:
                said.append(str(await work))
            except McpError as error:
                said.append(str(error))
        return said


def test_mcp_connects_to_nothing_that_a_client_names(served: Served) -> None:
    """Gradio would ask its own endpoints at the Host of the first client, which may be any address."""
    with socket.socket() as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        elsewhere.listen()
        elsewhere.settimeout(0.5)
        host = f"127.0.0.1:{elsewhere.getsockname()[1]}"
        answer, *others = awaited(lambda: tell(served.url, "Who built the harbour?", host=host))
        assert "1874" in answer
        assert others == ["Method not found"] * 2
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_mcp_tells_what_is_wrong(served: Served) -> None:
    """A tool that refuses gives the reason in words."""
    said, *_ = awaited(lambda: tell(served.url, "x" * 3000))
    assert "too many characters" in said


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/upload", "/gradio_api/file=/etc/passwd", "/monitoring/summary", "/gradio_api/run/ask", "/docs"],
)
def test_closed_routes_of_the_real_server(served: Served, path: str) -> None:
    """What Gradio leaves open is closed in the running server too."""
    assert httpx.get(served.url + path).status_code == 404
    assert httpx.post(served.url + path, json={"data": ["x"]}).status_code == 404


def test_foreign_hosts_and_origins_get_nothing(served: Served) -> None:
    """DNS rebinding and other web sites reach neither the endpoints nor MCP, and no CORS header is given."""
    for path in ("/gradio_api/call/ask", "/gradio_api/mcp/", "/gradio_api/queue/join"):
        rebound = httpx.post(served.url + path, json={"data": ["x"]}, headers={"host": "evil.example"})
        crossed = httpx.post(served.url + path, json={"data": ["x"]}, headers={"origin": "https://evil.example"})
        assert (rebound.status_code, crossed.status_code) == (421, 403)
        assert "access-control-allow-origin" not in {**rebound.headers, **crossed.headers}


def test_everyone_gets_their_own_answer(served: Served) -> None:
    """People who ask at once each get the answer to their own question."""
    numbers = list(range(12))

    clients = [client(served.url) for _ in range(4)]

    def ask(number: int) -> str:
        answer = clients[number % 4].predict(f"Who built the harbour? {number}", api_name="/ask")
        return str(json.loads(answer)["question"])

    with ThreadPoolExecutor(4) as people:
        assert list(people.map(ask, numbers)) == [f"Who built the harbour? {number}" for number in numbers]


def test_a_busy_port_is_said_in_one_line() -> None:
    """The message names the port and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"Port {port} on 127.0.0.1 is in use. Choose another one with --port"):
            listen("127.0.0.1", port)


def test_a_computer_without_ipv6_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even a socket can be had, the message names the address and what to do."""

    def refused(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refused)
    with pytest.raises(UserError, match=r"Cannot listen on :::7860: Address family .* Choose others with --host"):
        listen("::", 7860)


def test_an_empty_host_is_refused() -> None:
    """It would be every address of this computer, which nobody asked for; the message names what to write."""
    with pytest.raises(UserError, match=r"The host is empty\. Name one with --host: 127\.0\.0\.1"):
        listen("", 0)


@pytest.mark.parametrize("host", ["bücher..de", "a\0b", "ü" * 70])
def test_a_malformed_host_is_said_in_one_line(host: str) -> None:
    """What cannot be a host name is named as it was given, with what to do."""
    with pytest.raises(UserError, match=r"is no host name\. Choose another one with --host") as refused:
        listen(host, 0)
    assert str(refused.value).startswith(repr(host))


def test_asking_on_the_command_line_imports_no_gradio() -> None:
    """The server module itself is cheap to import; Gradio comes with the first application."""
    code = (
        "import rag.chat.server, sys; print([m for m in ('gradio', 'torch', 'fastapi', 'uvicorn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  types {{ text/html html; application/javascript js; text/css css; }}
  server {{
    listen 127.0.0.1:{port};
    location /tools/chat/ {{
      proxy_pass {upstream}/;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_buffering off;
    }}
  }}
}}
"""


@pytest.mark.parametrize(("ci", "raised"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_what_is_missing_is_skipped_but_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, raised: type[BaseException]
) -> None:
    """Either way the reason is said."""
    monkeypatch.setenv("CI", ci)
    with pytest.raises(raised, match="no nginx"):
        missing("no nginx")


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that is shown under a path; the last test that uses it ends it."""
    with serving(tmp_path_factory.mktemp("prefixed"), "--root-path", "/tools/chat") as server:
        yield server


def test_behind_nginx_under_a_path(tmp_path: Path, prefixed: Served, visiting: Visiting) -> None:
    """Under https://school.example/tools/chat/ the page loads, answers and opens a source."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        missing("no nginx: apt-get install nginx-light")
    port = free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(folder=tmp_path, port=port, upstream=prefixed.url))
    proxy = subprocess.Popen([nginx, "-c", str(config), "-e", str(tmp_path / "error.log")])
    try:
        for _ in range(50):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        visit = visiting("/", url=f"http://127.0.0.1:{port}/tools/chat")
        visit.ask("Who built the harbour?")
        visit.page.locator("#chat a.cite").first.click()
        visit.page.locator("#panel mark.now").first.wait_for()
        visit.page.goto("about:blank")
    finally:
        proxy.terminate()
        proxy.wait(5)


def test_the_password_is_told_to_nobody(tmp_path: Path) -> None:
    """Neither the page nor its settings nor a refusal holds it; who has it can use the tools."""
    with serving(tmp_path, "--auth", "ada", "open-sesame") as server:
        for path in ("/", "/config", "/gradio_api/info"):
            refused, given = httpx.get(server.url + path), httpx.get(server.url + path, auth=("ada", "open-sesame"))
            assert (refused.status_code, given.status_code) == (401, 200)
            assert "open-sesame" not in refused.text + given.text
        login = f"Basic {base64.b64encode(b'ada:open-sesame').decode()}"
        answer, *_ = awaited(lambda: tell(server.url, "Who built the harbour?", authorization=login))
        assert "1874" in answer


def test_the_server_ends_at_once(prefixed: Served) -> None:
    """With a stream open, as every page holds one, the server still ends within seconds."""
    with httpx.stream("GET", f"{prefixed.url}/gradio_api/heartbeat/abc123", timeout=5) as stream:
        assert stream.status_code == 200
        begun = time.monotonic()
        prefixed.process.send_signal(signal.SIGTERM)
        prefixed.process.wait(10)
    assert time.monotonic() - begun < 4


def test_the_small_backend_is_what_the_page_needs() -> None:
    """The fake and the real assistant have the same methods, so that the tests say something of the product."""
    from rag.assistant import Assistant
    from rag.chat.backend import Backend

    for name in (n for n in dir(Backend) if not n.startswith("_")):
        assert hasattr(Assistant, name), name
        assert hasattr(SmallBackend, name), name
