"""Pictures of the chat's main states, from a real browser over a built index.

python benchmarks/chat_screenshots.py --index index --out docs/screenshots
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chat_first_paint import BROWSER, CHROMIUM, served
from playwright.sync_api import Browser, Page, sync_playwright

QUESTION = "What hurdles do provincial governments face?"
NOT_THERE = "Who won the football World Cup in 1998?"


@dataclass(frozen=True, slots=True)
class Screen:
    """A window to look through."""

    name: str
    width: int
    height: int
    dark: bool


SCREENS = (
    Screen("desktop", 1280, 800, False),
    Screen("desktop-dark", 1280, 800, True),
    Screen("phone", 390, 844, False),
    Screen("phone-dark", 390, 844, True),
)


KEPT = frozenset(
    {"desktop-source", "desktop-dark-source", "desktop-not-answered", "desktop-why", "phone-answer", "phone-source"}
)
"""The states that the documentation shows."""


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, default=Path("index"))
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    parser.add_argument(
        "--all", action="store_true", help="every state on every screen, to look at; not for the repository"
    )
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with served(given.index) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER)
        for screen in SCREENS:
            _tour(browser, server.url, screen, given.out, KEPT if not given.all else None)
        browser.close()


def _tour(browser: Browser, url: str, screen: Screen, out: Path, kept: frozenset[str] | None) -> None:
    small = screen.width < 600
    context = browser.new_context(
        viewport={"width": screen.width, "height": screen.height},
        color_scheme="dark" if screen.dark else "light",
        device_scale_factor=2 if small else 1,
        is_mobile=small,
        has_touch=small,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(url)
    page.locator("#ask textarea").wait_for()

    def shot(state: str) -> None:
        if kept is not None and f"{screen.name}-{state}" not in kept:
            return
        page.wait_for_timeout(700)
        page.screenshot(path=out / f"{screen.name}-{state}.png")

    shot("start")
    _ask(page, QUESTION)
    shot("answer")
    page.locator("#chat a.cite").first.click()
    page.locator("#panel mark.now").first.wait_for()
    shot("source")
    page.keyboard.press("Escape")
    if not small:
        page.locator("#chat a.cite").first.hover()
        shot("preview")
    _open(page, "#chat .tool.why", "#panel .why", lambda: shot("why"))
    _open(page, "[data-do=library]", "#panel .library", lambda: shot("documents"))
    _ask(page, NOT_THERE)
    shot("not-answered")
    page.locator("[data-do=menu]").click()
    shot("conversations")
    context.close()


def _ask(page: Page, question: str) -> None:
    done = page.locator("#chat .tools").count()
    page.fill("#ask textarea", question)
    page.keyboard.press("Enter")
    page.locator("#chat .tools").nth(done).wait_for()
    page.locator("#ask textarea").blur()


def _open(page: Page, opener: str, view: str, then: Callable[[], None]) -> None:
    page.locator(opener).first.click()
    page.locator(view).wait_for()
    then()
    page.keyboard.press("Escape")


if __name__ == "__main__":
    main()
