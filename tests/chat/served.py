"""Serves the chat over the small backend of the tests, python -m tests.chat.served PORT FOLDER."""

from __future__ import annotations

import argparse
from pathlib import Path

from rag.chat.server import Options, application, listen, quiet_gradio, run
from rag.settings import Settings
from tests.chat.library import SmallBackend


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--root-path", default="")
    parser.add_argument("--auth", nargs=2)
    given = parser.parse_args()
    listener = listen("127.0.0.1", given.port)
    quiet_gradio(given.folder)
    auth = (given.auth[0], given.auth[1]) if given.auth else None
    options = Options(mcp=True, root_path=given.root_path, auth=auth, allowed_hosts=("chat.example",))
    run(application(SmallBackend(), Settings(), given.folder, options), listener, f"http://127.0.0.1:{given.port}")


if __name__ == "__main__":
    main()
