"""How soon an answer is on the screen: from Enter to the first painted quote, in a real browser on a warm server.

    python benchmarks/chat_first_paint.py --index index

Prints one JSON line and writes results/chat_first_paint.json. "start_s" is from the start of `rag serve` to its first
healthy answer, "page_s" from opening the page to a question box that takes a question, both on a machine that had the
files in its cache. "update_s" is `rag index` over documents that have not changed: `make chat` takes update_s, start_s
and page_s. "gradio_s" is the part of start_s that the import of Gradio takes by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measured
from playwright.sync_api import Page, sync_playwright

QUESTIONS = (
    "What hurdles do provincial governments face?",
    "What is the 2522 framework of Digital China?",
    "How large are the US and China in the world's digital economy?",
    "Where did China rank in the 2021 Global Innovation Index?",
    "How did digital technology help to contain Covid-19?",
)
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
BROWSER = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update".split()
WATCH = """() => {
  const box = document.querySelector('#ask textarea');
  box.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    const start = performance.now(), before = document.querySelectorAll('#chat .said').length;
    window.painted = null;
    const observer = new MutationObserver(() => {
      if (document.querySelectorAll('#chat .said').length <= before) return;
      observer.disconnect();
      // the frame after the next one begins when the change has been painted
      requestAnimationFrame(() => requestAnimationFrame(() => { window.painted = performance.now() - start; }));
    });
    observer.observe(document.querySelector('#chat'), {childList: true, subtree: true});
  }, {capture: true});
}"""


class Running(NamedTuple):
    """A server that a benchmark started."""

    url: str
    """Ends with a slash."""
    pid: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, default=Path("index"))
    parser.add_argument(
        "--rounds", type=int, default=6, help="times that every question is asked, each round a new chat"
    )
    parser.add_argument("--documents", type=Path, default=Path("seeds"), help="what the index was built from (seeds)")
    given = parser.parse_args()
    updated = _seconds("-m", "rag.cli", "index", str(given.documents), "--index", str(given.index))
    gradio = _seconds("-c", "import gradio")
    begun = time.perf_counter()
    with served(given.index) as server, sync_playwright() as playwright:
        started = time.perf_counter() - begun
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER)
        times, pages = [], []
        for _ in range(given.rounds):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            begun = time.perf_counter()
            page.goto(server.url)
            page.locator("#ask textarea").wait_for()
            pages.append(time.perf_counter() - begun)
            page.wait_for_timeout(800)
            page.evaluate(WATCH)
            times += [_ask(page, question) for question in QUESTIONS]
            page.close()
        browser.close()
    times.sort()
    result = {
        "questions": len(times),
        "first_paint_ms": {
            "median": round(statistics.median(times)),
            "p95": round(times[int(0.95 * (len(times) - 1))]),
            "most": round(times[-1]),
        },
        "start_s": round(started, 2),
        "page_s": round(statistics.median(pages), 2),
        "update_s": round(updated, 2),
        "gradio_s": round(gradio, 2),
    }
    settings = {"rounds": given.rounds}
    measured.write("chat_first_paint", result, settings)
    print(json.dumps(result))


def _seconds(*arguments: str) -> float:
    """How long Python takes for this."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


@contextmanager
def served(index: Path) -> Iterator[Running]:
    """`rag serve` over an index on a free port until the block ends, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    server = subprocess.Popen([sys.executable, "-m", "rag.cli", "serve", "--index", str(index), "--port", str(port)])
    try:
        for _ in range(1200):
            try:
                if server.poll() is not None:
                    raise SystemExit("The server ended; what it said stands above.")
                with urllib.request.urlopen(f"{url}healthz", timeout=1):  # noqa: S310  # our own server
                    break
            except OSError:
                time.sleep(0.05)
        yield Running(url, server.pid)
    finally:
        server.terminate()
        server.wait(15)


def _ask(page: Page, question: str) -> float:
    done = page.locator("#chat .tools").count()
    page.fill("#ask textarea", question)
    page.keyboard.press("Enter")
    page.wait_for_function("window.painted !== null && window.painted !== undefined", timeout=15000)
    took = float(page.evaluate("window.painted"))
    page.wait_for_function(f"document.querySelectorAll('#chat .tools').length > {done}", timeout=15000)
    page.wait_for_timeout(250)
    return took


if __name__ == "__main__":
    main()
