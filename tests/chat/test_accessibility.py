"""What axe-core, npm's checker, finds on the main states of the page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chat.conftest import Visiting, missing

AXE = Path(os.environ.get("AXE_CORE", Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"))
RUN = """async where => (await axe.run(where, {resultTypes: ['violations']})).violations
    .filter(found => ['serious', 'critical'].includes(found.impact))
    .map(found => found.id + ': ' + found.nodes.map(n => n.html.slice(0, 140) + ' | ' + n.failureSummary).join(' '))"""


@pytest.fixture(scope="session")
def axe() -> str:
    """The checker's source; tests are skipped where it is missing, but not in CI."""
    if not AXE.exists():
        missing(f"no axe-core at {AXE}: npm install --no-save axe-core, or name the file in AXE_CORE")
    return AXE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("width", "height", "dark"),
    [(1280, 800, False), (1280, 800, True), (390, 844, False)],  # a colour is the same at either width
    ids=["desktop", "desktop-dark", "phone"],
)
def test_no_serious_violation_on_any_state(visiting: Visiting, axe: str, width: int, height: int, dark: bool) -> None:
    """Start, answer, source, drawer, list of documents, abstention, conversations and menu have no serious fault."""
    visit = visiting(width=width, height=height, dark=dark)
    page = visit.page
    page.evaluate(axe)
    found: dict[str, list[str]] = {"start": page.evaluate(RUN, "html")}
    visit.ask("Why did the fishermen strike about the harbour toll?")
    found["answer"] = page.evaluate(RUN, "html")
    page.locator("#chat .tool.more").first.click()
    found["menu"] = page.evaluate(RUN, "html")
    page.keyboard.press("Escape")
    page.locator("#chat a.cite").nth(1).click()
    page.locator("#panel mark.now").first.wait_for()
    page.wait_for_timeout(400)
    found["source"] = page.evaluate(RUN, "#panel")
    page.keyboard.press("Escape")
    page.locator("#chat .tool.why").first.click()
    page.locator("#panel .why").wait_for()
    page.wait_for_timeout(400)
    found["why"] = page.evaluate(RUN, "#panel")
    page.keyboard.press("Escape")
    page.locator("[data-do=library]").click()
    page.locator("#panel .library").wait_for()
    page.wait_for_timeout(400)
    found["documents"] = page.evaluate(RUN, "#panel")
    page.keyboard.press("Escape")
    visit.ask("What is quantum chromodynamics?")
    found["abstention"] = page.evaluate(RUN, "html")
    page.locator("[data-do=menu]").click()
    found["conversations"] = page.evaluate(RUN, "html")
    assert {state: faults for state, faults in found.items() if faults} == {}
