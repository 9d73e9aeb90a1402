"""Serves the chat over the small backend of the tests: python tests/chat/served.py PORT FOLDER [ROOT_PATH]."""

from __future__ import annotations

import sys
from pathlib import Path

from library import SmallBackend

from rag.chat.server import Options, _listen, _run, application, quiet_gradio
from rag.settings import Settings


def main(port: str, folder: str, root_path: str = "") -> None:
    """Serve until told to stop."""
    listener = _listen("127.0.0.1", int(port))
    quiet_gradio(Path(folder))
    app = application(SmallBackend(), Settings(), Path(folder), Options(mcp=True, root_path=root_path))
    _run(app, listener, f"http://127.0.0.1:{port}{root_path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
