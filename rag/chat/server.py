"""Serves the chat: opens the index, mounts the page in an application of our own, and ends at once when told to."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag.assistant import Assistant
from rag.errors import RagError, UserError
from rag.settings import Settings

if TYPE_CHECKING:
    from mcp.server import Server as McpServer

    from rag.chat.backend import Backend
    from rag.chat.guard import Guard

REFRESH_S = 5.0
"""How often a newer index version is looked for."""
MAX_AT_WORK = 64
"""Questions that are being answered at once; more are asked to come again."""
MAX_WAITING = 256
"""Events that wait for their turn, all visitors together."""
STREAMS = 2000
"""Open connections; each open page holds two."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """How the chat is served."""

    mcp: bool = False
    root_path: str = ""
    auth: tuple[str, str] | None = None
    allowed_hosts: tuple[str, ...] = ()


def serve(
    index_dir: Path,
    settings: Settings,
    host: str,
    port: int,
    *,
    mcp: bool = False,
    root_path: str = "",
    auth: tuple[str, str] | None = None,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Serve the chat until SIGINT or SIGTERM.

    `root_path` is the path under which a reverse proxy shows it; `allowed_hosts` are the names it is reached by,
    beside this computer's own. Raises UserError for a port that cannot be had, IndexUnavailable for no index.
    """
    if mcp and importlib.util.find_spec("mcp") is None:
        raise UserError("MCP tools need a package that is not installed. Install it with: pip install 'gradio[mcp]'")
    listener = listen(host, port)
    options = Options(mcp, root_path, auth, tuple(allowed_hosts))
    with tempfile.TemporaryDirectory(prefix="rag-chat-") as scratch:
        quiet_gradio(Path(scratch))
        # Gradio takes seconds to import; the index is opened meanwhile. Where that fails, nobody waits for Gradio.
        threading.Thread(target=importlib.import_module, args=("gradio",), name="import", daemon=True).start()
        backend = Assistant.open(index_dir, settings, lambda line: print(line, file=sys.stderr))
        app = application(backend, settings, index_dir, options)
        stopped = threading.Event()
        threading.Thread(target=_refresh, args=(backend, stopped), name="refresh", daemon=True).start()
        try:
            run(app, listener, f"http://{_shown(host)}:{listener.getsockname()[1]}{root_path}")
        finally:
            stopped.set()


def quiet_gradio(scratch: Path) -> None:
    """Set what Gradio reads: no calls to other hosts, its files in a folder of our own, and no matplotlib."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = str(scratch)
    # Gradio tries to import it twice at every event; looking through all folders in vain is 3 % of the server's work.
    sys.modules["matplotlib"] = None  # type: ignore[assignment]  # makes its import fail at once


def application(backend: Backend, settings: Settings, feedback_dir: Path, options: Options) -> Guard:
    """The whole application behind its guard. Imports Gradio, which takes seconds."""
    import gradio as gr
    from fastapi import FastAPI

    from rag.chat.api import endpoints
    from rag.chat.feedback import FILE_NAME, FeedbackFile
    from rag.chat.guard import Guard
    from rag.chat.handlers import make_handlers
    from rag.chat.limits import Limiter, Rate, Slots
    from rag.chat.page import build_page, head, theme
    from rag.chat.texts import ENGLISH

    slots = Slots(MAX_AT_WORK)
    # A class behind one address may ask 20 questions a second, in whatever way; all events are a few times that.
    questions, requests = Limiter(Rate(20, 100)), Limiter(Rate(100, 600))
    feedback = FeedbackFile(feedback_dir / FILE_NAME, settings)
    handlers = make_handlers(backend, settings, feedback, questions, slots, ENGLISH)
    page = build_page(handlers, ENGLISH, endpoints(backend, questions, slots, ENGLISH), MAX_WAITING)
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="/",
        theme=theme(),
        head=head(),
        mcp_server=options.mcp,
        root_path=options.root_path or None,
        show_error=False,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        max_file_size="1kb",
        allowed_paths=[],
        ssr_mode=False,
        pwa=False,
    )
    if page.mcp_server_obj is not None:
        _only_tools(page.mcp_server_obj.mcp_server)
    return Guard(
        app,
        limiter=requests,
        hosts=options.allowed_hosts,
        root_path=options.root_path,
        auth=options.auth,
    )


def _only_tools(server: McpServer) -> None:
    """No prompts and no resources: looking for one, Gradio connects to whatever address the client named as Host."""
    from mcp import types

    kept = (types.PingRequest, types.ListToolsRequest, types.CallToolRequest)
    server.request_handlers = {kind: server.request_handlers[kind] for kind in kept}


def listen(host: str, port: int) -> socket.socket:
    """The listening socket, taken first: a busy port should not cost the seconds that the import of Gradio takes.

    Raises UserError for an address that cannot be had.
    """
    if not host:  # which would be all addresses of this computer
        raise UserError("The host is empty. Name one with --host: 127.0.0.1, or 0.0.0.0 to let others in.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(1024)
        except BaseException:
            listener.close()
            raise
    except (TypeError, UnicodeError) as error:  # what Python says of a name that cannot be one
        raise UserError(f"{host!r} is no host name. Choose another one with --host, such as 127.0.0.1.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"Port {port} on {host} is in use. Choose another one with --port, such as --port {port + 1}."
            ) from error
        raise UserError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose others with --host and --port."
        ) from error
    return listener


def run(app: Guard, listener: socket.socket, url: str) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"The chat is ready: {url}", file=sys.stderr, flush=True)

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=STREAMS,
        timeout_graceful_shutdown=1,  # open pages hold streams that never end by themselves
    )
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again once it has ended well
        Server(config).run(sockets=[listener])


def _refresh(backend: Backend, stopped: threading.Event) -> None:
    """Go over to newer index versions as they come; say once what is wrong with one."""
    said = ""
    while not stopped.wait(REFRESH_S):
        try:
            if backend.refresh():
                backend.catalogue()  # read here, not while somebody waits
                print(f"Now answering from index version {backend.version}.", file=sys.stderr, flush=True)
        except RagError as error:
            if str(error) != said:
                said = str(error)
                print(f"The newer index is not used: {said}", file=sys.stderr, flush=True)


def _shown(host: str) -> str:
    """The host as it stands in a URL for this computer."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # shown, not listened on
    return f"[{host}]" if ":" in host else host
