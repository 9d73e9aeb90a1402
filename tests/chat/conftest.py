"""One server and one browser for all tests of the chat."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

T = TypeVar("T")
TESTS = Path(__file__).parents[1]
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
).split()


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    url: str
    """Ends without a slash."""
    folder: Path
    """Where it keeps feedback."""
    process: subprocess.Popen[bytes]


def awaited(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What the coroutine gives, run in a thread of its own: Playwright keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(lambda: asyncio.run(work())).result()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def missing(reason: str) -> NoReturn:
    """Skip what needs a program that is not here, and say which; in CI, where nothing may be missing, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Served]:
    """Serve the small backend in a process of its own until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "tests.chat.served", str(port), str(folder), *options]
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    process = subprocess.Popen(command, cwd=TESTS, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, "the server ended"
            try:
                if httpx.get(f"{url}/healthz", timeout=1).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield Served(url, folder, process)
    finally:
        process.terminate()
        process.wait(15)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The chat over the small backend."""
    with serving(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; tests that need it are skipped where it is missing, but not in CI."""
    if not CHROMIUM.exists():
        missing(f"no browser at {CHROMIUM}: apt-get install chromium, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass(slots=True)
class Visit:
    """A page, and what it asked for and complained of."""

    page: Page
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def ask(self, question: str) -> None:
        """Ask, and wait until the answer is complete."""
        done = self.page.locator("#chat .tools").count()
        self.page.fill("#ask textarea", question)
        self.page.keyboard.press("Enter")
        self.page.locator("#chat .tools").nth(done).wait_for()


Visiting = Callable[..., Visit]


Contexts = dict[tuple[int, int, bool], BrowserContext]


@pytest.fixture(scope="session")
def contexts() -> Contexts:
    """One context for each kind of screen: a test finds Gradio's files in its cache, as a returning reader does."""
    return {}


@pytest.fixture
def visiting(browser: Browser, served: Served, contexts: Contexts) -> Iterator[Visiting]:
    """Opens pages; afterwards none of them may have asked another host for anything or complained."""
    visits: list[Visit] = []

    def visit(path: str = "/", *, width: int = 1280, height: int = 800, dark: bool = False, url: str = "") -> Visit:
        kind = (width, height, dark)
        if kind not in contexts:
            contexts[kind] = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
                has_touch=width < 600,
                is_mobile=width < 600,
                reduced_motion="reduce",
                permissions=["clipboard-read", "clipboard-write"],
            )
            contexts[kind].set_default_timeout(10_000)
        made = Visit(contexts[kind].new_page())
        home = url or served.url
        inside = (home, "data:", "blob:")
        made.page.on("request", lambda r: None if r.url.startswith(inside) else made.outside.append(r.url))
        made.page.on("console", lambda m: made.errors.append(f"{m.text} {m.location}") if m.type == "error" else None)
        made.page.on("pageerror", lambda error: made.errors.append(str(error)))
        visits.append(made)
        made.page.goto(home + path)
        made.page.locator("#ask textarea").wait_for()
        made.page.locator("#panel .panel-head" if width > 860 else "#bar").wait_for()
        return made

    yield visit
    for made in visits:
        if made.page.url.startswith("http"):
            made.page.evaluate("localStorage.clear()")
        made.page.close()
    for made in visits:
        assert made.outside == []
        # a browser asks the root of the host for an icon before the page can name its own
        assert [error for error in made.errors if "/favicon.ico" not in error] == []


@pytest.fixture
def visit(visiting: Visiting) -> Visit:
    """The start page on a desktop."""
    return visiting()
