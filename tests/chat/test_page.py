"""The page as a reader uses it, in Chromium. The fixture fails a test on any outside request or console error."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from rag.settings import Settings
from tests.chat.conftest import Served, Visit, Visiting
from tests.chat.library import MARKUP, library

STRIKE = "Why did the fishermen strike about the harbour toll?"
BUILT = "Who built the harbour?"
UNKNOWN = "What is quantum chromodynamics?"
HARBOUR, TALK, EVIL = library()


def in_view(page: Page) -> bool:
    """Whether the highlighted quote lies inside the panel's window."""
    return bool(
        page.evaluate(
            """() => { const m = document.querySelector('#panel mark.now').getBoundingClientRect(),
            b = document.querySelector('#panel .panel-body').getBoundingClientRect();
            return m.top >= b.top - 1 && m.top <= b.bottom; }"""
        )
    )


def clipboard(page: Page) -> str:
    """What was copied."""
    expect(page.locator("#toast")).to_be_visible()
    return str(page.evaluate("navigator.clipboard.readText()"))


# 1. ask and read


def test_every_number_opens_its_exact_quote(visit: Visit) -> None:
    """Each chip opens the document with exactly the card's words marked and scrolled into view."""
    visit.ask(STRIKE)
    page = visit.page
    chips, cards = page.locator("#chat a.cite"), page.locator("#chat .card .exact")
    expect(chips).to_have_count(4)
    for number in range(4):
        chips.nth(number).click()
        expect(page.locator("#panel .step")).to_contain_text(f"Quote {number + 1} of 4")
        marked = "".join(page.locator("#panel mark.now").all_text_contents())
        assert marked == cards.nth(number).text_content()
        page.wait_for_function("document.querySelector('#panel mark.now')")
        assert in_view(page)
    expect(page.locator("#panel mark.other").first).to_be_attached()
    expect(page.locator("#panel .rail .mark")).to_have_count(4)


def test_a_card_shows_words_title_publisher_date_and_place(visit: Visit) -> None:
    """All that a reader needs to judge a quote stands on its card."""
    visit.ask(BUILT)
    card = visit.page.locator("#chat .card").first
    expect(card.locator(".exact")).to_have_text(re.compile("built in 1874"))
    expect(card.locator(".from")).to_have_text(
        re.compile(r"The Harbour of Norby\s· Norby Gazette\s· 2019-05-04\s· .*line 3")
    )


def test_hover_shows_the_quote_in_its_context(visit: Visit) -> None:
    """Hovering or focusing a number shows the words around the quote; Escape and leaving hide them."""
    visit.ask(STRIKE)
    chip, preview = visit.page.locator("#chat a.cite").nth(1), visit.page.locator("#preview")
    chip.hover()
    expect(preview).to_be_visible()
    expect(preview.locator("b")).to_have_text(visit.page.locator("#chat .card .exact").nth(1).text_content() or "")
    expect(preview).to_contain_text("never came back")
    visit.page.mouse.move(5, 300)
    expect(preview).to_be_hidden()


def test_previous_next_and_the_rail_step_through_the_quotes(visit: Visit) -> None:
    """The panel's own controls lead to the neighbours and mark the open chip in the chat."""
    visit.ask(STRIKE)
    page = visit.page
    page.locator("#chat a.cite").first.click()
    page.get_by_role("button", name="Next quote").click()
    expect(page.locator("#panel .step")).to_contain_text("Quote 2 of 4")
    expect(page.locator("#chat a.cite.on-panel")).to_have_text(re.compile("2$"))
    page.locator("#panel .rail .mark").last.click()
    expect(page.locator("#panel .step")).to_contain_text("Quote 4 of 4")
    page.get_by_role("button", name="Previous quote").click()
    expect(page.locator("#panel .step")).to_contain_text("Quote 3 of 4")


def test_the_panel_is_a_sheet_on_a_phone(visiting: Visiting) -> None:
    """Tapping a number slides the sheet over the chat with the quote in view; closing it gives the chat back."""
    visit = visiting(width=390, height=844)
    page = visit.page
    visit.ask(STRIKE)
    expect(page.locator("#panel-column")).to_be_hidden()
    page.locator("#chat a.cite").nth(2).tap()
    expect(page.locator("#panel mark.now").first).to_be_visible()
    expect(page.locator("#panel mark.now").first).to_be_in_viewport()
    page.locator("#panel .close").tap()
    expect(page.locator("#panel-column")).to_be_hidden()


def test_nothing_is_wider_than_a_small_phone(visiting: Visiting) -> None:
    """At 320 pixels nothing has to be scrolled sideways, not even a hostile title."""
    visit = visiting(width=320, height=640, dark=True)
    visit.ask("What does the lorikeet say?")
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not visit.page.evaluate(wide)
    visit.page.locator("#chat a.cite").first.tap()
    visit.page.locator("#panel mark.now").first.wait_for()
    assert not visit.page.evaluate(wide)
    overflowing = """[...document.querySelectorAll('#chat .answer *, #panel *')].filter(e =>
        e.getBoundingClientRect().right > innerWidth + 1 && getComputedStyle(e).visibility != 'hidden').length"""
    assert visit.page.evaluate(overflowing) == 0


def test_an_example_is_asked_with_one_click(visit: Visit) -> None:
    """The start page offers questions that the documents answer."""
    visit.page.get_by_role("button", name=BUILT).click()
    expect(visit.page.locator("#chat .q")).to_have_text(BUILT)
    expect(visit.page.locator("#chat .card").first).to_be_visible()


def test_a_link_to_a_quote_opens_it(visiting: Visiting) -> None:
    """A bookmarked place opens on its own; one that is gone says so calmly."""
    visit = visiting(f"/#cite/{HARBOUR.id}.15.40")
    expect(visit.page.locator("#panel mark.now")).to_have_text(HARBOUR.text[15:40])
    gone = visiting("/#cite/0000000000000000.1.9")
    expect(gone.page.locator("#panel")).to_contain_text("not in the index any more")
    broken = visiting("/#cite/%22%5D<img src=x>")
    expect(broken.page.locator("#panel")).to_contain_text("not in the index any more")


# 2. when the documents do not answer


def test_an_abstention_offers_what_is_closest_and_what_is_answered(visit: Visit) -> None:
    """It is said plainly; the nearest passages are named as such; suggestions can be asked."""
    visit.ask(UNKNOWN)
    page = visit.page
    expect(page.locator("#chat .said")).to_have_text("The documents do not answer this.")
    expect(page.get_by_text("The closest passages, which may not answer it")).to_be_visible()
    expect(page.locator("#chat a.cite")).to_have_count(0)
    page.locator("#chat .closest .card a.open").first.click()
    expect(page.locator("#panel mark.now").first).to_be_visible()
    page.locator("#chat a.suggested").first.click()
    expect(page.locator("#chat .q")).to_have_count(2)


# 3. study


@pytest.mark.parametrize(("style", "expected"), [("APA", "(2019, May 4)"), ("BibTeX", "@misc{lind2019")])
def test_a_quote_is_copied_with_its_reference(visit: Visit, style: str, expected: str) -> None:
    """The chosen style is remembered, so that the next copy is one click; the words are exact."""
    visit.ask(BUILT)
    page = visit.page
    page.get_by_role("button", name="Choose the reference style 1").click()
    page.get_by_role("menuitemradio", name=style).click()
    assert expected in clipboard(page)
    page.evaluate("navigator.clipboard.writeText('')")
    page.get_by_role("button", name="Copy with reference 1").click()
    page.wait_for_function("navigator.clipboard.readText().then(text => text.length > 0)")
    copied = str(page.evaluate("navigator.clipboard.readText()"))
    assert expected in copied
    assert "built in 1874 by the engineer Ada Holm" in copied


def test_an_answer_is_copied_as_it_is_read(visit: Visit) -> None:
    """Copied text has the words, the numbers and the sources, and no markup."""
    visit.ask(BUILT)
    visit.page.get_by_role("button", name="Copy answer").click()
    copied = clipboard(visit.page)
    assert re.search(r"“The harbour of Norby was built in 1874.*” \[1\]", copied)
    assert "[1] The Harbour of Norby · Norby Gazette" in copied
    assert "Source 1:" not in copied


@pytest.mark.parametrize(
    ("choice", "name", "begins"),
    [("Markdown", "conversation.md", "# "), ("Web page", "conversation.html", "<!doctype")],
)
def test_a_conversation_is_exported(visit: Visit, choice: str, name: str, begins: str) -> None:
    """The file comes with its references and without a request to a file route."""
    visit.ask(BUILT)
    visit.page.get_by_role("button", name="Export").click()
    with visit.page.expect_download() as download:
        visit.page.get_by_role("menuitem", name=choice).click()
    assert download.value.suggested_filename == name
    text = download.value.path().read_text(encoding="utf-8")
    assert text.startswith(begins)
    assert "References" in text


def test_only_the_chosen_documents_are_asked(visit: Visit) -> None:
    """Unchecking documents limits the answers, a line says so, and one click asks all again."""
    page = visit.page
    for item in (HARBOUR, EVIL):
        page.locator(f'[data-document="{item.id}"]').uncheck()
    expect(page.locator("#scope")).to_contain_text("Asking 1 of 3 documents")
    visit.ask(STRIKE)
    expect(page.locator("#chat .card .from").first).to_contain_text("Evening talk")
    expect(page.locator("#chat .card .from", has_text="Harbour of Norby")).to_have_count(0)
    page.locator("#scope").get_by_role("button", name="Ask all documents").click()
    expect(page.locator("#scope .scope")).to_have_count(0)
    visit.ask(BUILT)
    expect(page.locator("#chat .card .from", has_text="Harbour of Norby").first).to_be_visible()


def test_the_list_shows_what_is_asked(visit: Visit) -> None:
    """In a new chat all documents are checked, in one that is opened again those chosen in it."""
    page = visit.page
    boxes = page.locator("#panel [data-document]")
    page.locator(f'[data-document="{HARBOUR.id}"]').uncheck()
    visit.ask(STRIKE)

    def checked() -> list[bool]:
        return [boxes.nth(number).is_checked() for number in range(3)]

    page.get_by_role("button", name="New chat").click()
    expect(page.locator("#scope .scope")).to_have_count(0)
    expect(boxes.first).to_be_checked()
    assert checked() == [True, True, True]
    page.get_by_role("button", name="Conversations").click()
    page.locator("#conversations .conversation").click()
    expect(page.locator("#scope")).to_contain_text("Asking 2 of 3 documents")
    expect(boxes.first).not_to_be_checked()
    assert checked() == [False, True, True]
    page.reload()
    expect(page.locator("#scope")).to_contain_text("Asking 2 of 3 documents")
    expect(boxes.first).not_to_be_checked()
    assert checked() == [False, True, True]
    page.locator("#scope").get_by_role("button", name="Ask all documents").click()
    assert checked() == [True, True, True]


def test_a_document_is_read_from_end_to_end(visit: Visit) -> None:
    """The list of documents opens each of them whole, without a highlight."""
    visit.page.get_by_role("link", name="Evening talk").click()
    expect(visit.page.locator("#panel h2")).to_have_text("Evening talk")
    text = visit.page.locator("#panel article").text_content() or ""
    assert text.count("good evening everyone") == 30
    expect(visit.page.locator("#panel mark")).to_have_count(0)
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("#panel .library")).to_be_visible()


def test_conversations_are_kept_listed_renamed_and_deleted(visit: Visit) -> None:
    """They survive a reload, are in this browser only, and go when they are deleted."""
    page = visit.page
    visit.ask(BUILT)
    page.reload()
    expect(page.locator("#chat .card").first).to_be_visible()
    visit.ask("How high was the harbour toll?")
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("#chat .q")).to_have_count(0)
    visit.ask(STRIKE)
    page.get_by_role("button", name="Conversations").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("li")).to_have_count(2)
    dialog.get_by_role("button", name=f"Rename: {BUILT}").click()
    dialog.get_by_label("New name").fill("My <b>harbour</b>")
    page.keyboard.press("Enter")
    expect(dialog.locator(".title", has_text="My <b>harbour</b>")).to_be_visible()
    dialog.get_by_role("button", name=f"Delete: {STRIKE}").click()
    expect(dialog.locator("li")).to_have_count(1)
    dialog.get_by_role("button", name=re.compile("^My <b>")).click()
    expect(page.locator("#chat .q")).to_have_text([BUILT, "How high was the harbour toll?"])
    page.locator("#chat a.cite").first.click()
    expect(page.locator("#panel mark.now").first).to_be_visible()


def test_every_page_has_a_conversation_of_its_own(visiting: Visiting) -> None:
    """What is asked in one tab is not shown in another, nor written into its conversation."""
    mine, yours = visiting(), visiting()
    mine.ask(BUILT)
    expect(yours.page.locator("#chat .q")).to_have_count(0)
    yours.ask(STRIKE)
    expect(yours.page.locator("#chat .q")).to_have_text([STRIKE])
    mine.ask(UNKNOWN)
    expect(mine.page.locator("#chat .q")).to_have_text([BUILT, UNKNOWN])


def test_a_new_question_comes_to_the_top(visiting: Visiting) -> None:
    """The answer to a second question, too, is read from its beginning without scrolling."""
    visit = visiting(width=360, height=640)
    for question in (STRIKE, "Who built the harbour of Norby?"):
        visit.ask(question)
    top = "document.querySelector('#chat .bubble-wrap').getBoundingClientRect().top"
    below = f"[...document.querySelectorAll('#chat .q')].at(-1).getBoundingClientRect().top - {top}"
    visit.page.wait_for_function(f"Math.abs({below} - 24) < 5")


def test_the_start_page_can_be_read_from_its_beginning_on_a_small_phone(visiting: Visiting) -> None:
    """What does not fit the screen is below it, where it can be scrolled to, and not above."""
    page = visiting(width=320, height=400).page
    expect(page.get_by_role("heading", name="What do you want to know?")).to_be_in_viewport()
    page.locator("#chat .suggested").last.scroll_into_view_if_needed()
    expect(page.locator("#chat .suggested").last).to_be_in_viewport()


def test_a_deleted_conversation_can_be_brought_back(visit: Visit) -> None:
    """A slip costs nothing: Undo has the focus, and brings back the one that was open as well."""
    page = visit.page
    visit.ask(BUILT)
    page.get_by_role("button", name="Conversations").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=f"Delete: {BUILT}").click()
    expect(dialog.locator("li")).to_have_count(0)
    expect(dialog.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.locator("li")).to_have_count(1)
    dialog.locator(".conversation").click()
    expect(page.locator("#chat .q")).to_have_text([BUILT])
    page.get_by_role("button", name="Conversations").click()
    dialog.get_by_role("button", name=f"Rename: {BUILT}").click()
    page.keyboard.press("Escape")
    expect(dialog.get_by_role("button", name=f"Rename: {BUILT}")).to_be_focused()


def test_a_very_long_question_does_not_hide_its_answer(visit: Visit) -> None:
    """It is shown in part, so that what is said to it is on the screen."""
    visit.ask("why " * 700)
    expect(visit.page.locator("#chat .notice")).to_be_in_viewport()


def test_the_vote_s_question_fits_a_phone(visiting: Visiting) -> None:
    """The optional word can be read and written at 320 pixels."""
    visit = visiting(width=320, height=568)
    visit.ask(BUILT)
    visit.page.locator("#chat .tool.vote-down").tap()
    box = visit.page.get_by_label("Would you like to say why?").bounding_box()
    assert box is not None
    assert box["width"] > 150
    assert box["x"] >= 0
    visit.page.locator("#toast .icon.close").tap()


def test_what_is_typed_meanwhile_stays(visit: Visit) -> None:
    """The next question can be written while an answer is made; a suggestion does not empty the box either."""
    page, box = visit.page, visit.page.locator("#ask textarea")
    box.fill("Who built the harbour slowly?")
    page.keyboard.press("Enter")
    expect(page.locator("#chat .looking")).to_be_visible()
    expect(box).to_have_value("")
    expect(page.locator("#ask .submit-button")).to_be_hidden()
    box.fill("And the toll?")
    expect(page.locator("#chat .card").first).to_be_visible()
    expect(box).to_have_value("And the toll?")
    expect(page.locator("#ask .submit-button")).to_be_visible()
    expect(page.locator("#ask .stop-button")).to_be_hidden()
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator("#chat .looking")).to_be_visible()
    expect(page.locator("#chat .tools")).to_be_visible()
    expect(box).to_have_value("And the toll?")


def test_stop_retry_and_edit(visit: Visit) -> None:
    """A slow question can be stopped and comes back to the box; the last one can be asked again or edited."""
    page, box = visit.page, visit.page.locator("#ask textarea")
    box.fill("Who built the harbour slowly?")
    page.keyboard.press("Enter")
    expect(page.locator("#chat .looking")).to_be_visible()
    page.locator("#ask .stop-button").click()
    expect(box).to_have_value("Who built the harbour slowly?")
    expect(page.locator("#chat .q")).to_have_count(0)
    visit.ask(BUILT)
    page.get_by_role("button", name="Edit question").click()
    expect(box).to_have_value(BUILT)
    expect(page.locator("#chat .q")).to_have_count(0)
    visit.ask(STRIKE)
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator("#chat .q")).to_have_text([STRIKE])
    expect(page.locator("#chat .tools")).to_be_visible()


# 4. tell us


def test_a_vote_is_stored_with_a_word(visit: Visit, served: Served) -> None:
    """A thumb writes a line, the optional word another with the same id, and the thumb shows as chosen."""
    visit.ask(STRIKE)
    page = visit.page
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_label("Would you like to say why?").fill("wrong <b>strike</b>")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("button", name="Bad answer (chosen)")).to_be_visible()
    expect(page.locator("#toast")).to_contain_text("Saved on this computer")
    page.wait_for_timeout(300)
    lines = [json.loads(line) for line in (served.folder / "feedback.jsonl").read_text(encoding="utf-8").splitlines()]
    first, second = lines[-2:]
    assert first["id"] == second["id"]
    assert (second["vote"], second["note"], second["question"]) == ("down", "wrong <b>strike</b>", STRIKE)


# 5. why this answer


def test_the_drawer_shows_what_was_considered(visit: Visit) -> None:
    """Confidence, its signals, every passage with its scores, and the time of each stage."""
    visit.ask(BUILT)
    page = visit.page
    page.get_by_role("button", name="Why this answer").click()
    drawer = page.get_by_role("region", name="Why this answer")
    expect(drawer).to_contain_text(f"confidence of 0.91 reaches the threshold of {Settings().answer_threshold:.2f}")
    expect(drawer.get_by_role("row", name=re.compile("best cosine"))).to_contain_text("+0.82")
    expect(drawer.get_by_role("row", name=re.compile("retrieve"))).to_contain_text("0.2")
    drawer.locator(".passages a.open").first.click()
    expect(page.locator("#panel mark.now").first).to_be_visible()


# 6. everyone


def test_the_keyboard_reaches_everything(visit: Visit) -> None:
    """Enter on a number moves into the document, Escape comes back to the number; Space works on buttons."""
    visit.ask(STRIKE)
    page = visit.page
    chip = page.locator("#chat a.cite").nth(1)
    chip.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#panel mark.now").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(chip).to_be_focused()
    page.locator("#chat .tool.more").first.focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("menuitemradio", name="Plain")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitemradio", name="APA")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#chat .tool.more").first).to_be_focused()


def test_the_whole_way_without_a_mouse(visit: Visit) -> None:
    """From the box Tab leads back to the numbers; focus shows the quote, Enter opens it, Tab walks the panel."""
    page = visit.page
    visit.ask(STRIKE)
    chip = page.locator("#chat a.cite").last
    for _ in range(60):
        page.keyboard.press("Shift+Tab")
        if chip.evaluate("chip => chip === document.activeElement"):
            break
    expect(chip).to_be_focused()
    preview = page.locator("#preview")
    expect(preview).to_be_visible()
    assert preview.locator("b").text_content() == page.locator("#chat .card .exact").last.text_content()
    page.keyboard.press("Escape")
    expect(preview).to_be_hidden()
    expect(chip).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#panel mark.now").first).to_be_focused()
    names = set()
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        names.add(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert names >= {"Close", "Previous quote", "Copy with reference", "Choose the reference style"}
    page.keyboard.press("Escape")
    expect(chip).to_be_focused()


def test_nothing_moves_for_those_who_asked_for_calm(visit: Visit) -> None:
    """With reduced motion (as in all these tests) neither the sheet, the highlight nor the scrolling is animated."""
    page = visit.page
    visit.ask(STRIKE)
    page.locator("#chat a.cite").last.click()
    page.locator("#panel mark.now").first.wait_for()
    assert page.evaluate("document.getAnimations().length") == 0
    before = page.evaluate("document.querySelector('#panel .panel-body').scrollTop")
    page.get_by_role("button", name="Previous quote").click()
    expect(page.locator("#panel .step")).to_contain_text("Quote 3 of 4")
    page.wait_for_function("before => document.querySelector('#panel .panel-body').scrollTop !== before", arg=before)
    assert in_view(page)


def test_an_answer_is_announced(visit: Visit) -> None:
    """A screen reader hears how many quotes came, or that the documents do not answer."""
    visit.ask(STRIKE)
    expect(visit.page.locator("#live")).to_have_text("The answer is there: 4 quotes from 1 document.")
    visit.ask(UNKNOWN)
    expect(visit.page.locator("#live")).to_contain_text("The documents do not answer this")


def test_a_refusal_and_an_answer_asked_for_again_are_announced(visit: Visit) -> None:
    """Also where the new answer is the same as the one before; the focus is not lost with the link that was pressed."""
    page, live, box = visit.page, visit.page.locator("#live"), visit.page.locator("#ask textarea")
    visit.ask("x" * 2500)
    expect(live).to_contain_text("Ask in fewer words")
    visit.ask(UNKNOWN)
    expect(live).to_contain_text("The documents do not answer this")
    page.evaluate("document.querySelector('#live').textContent = ''")
    page.get_by_role("button", name="Ask again").press("Enter")
    expect(live).to_contain_text("The documents do not answer this")
    expect(box).to_be_focused()
    page.locator("#chat a.suggested").first.press("Enter")
    expect(live).to_contain_text("The answer is there")
    expect(box).to_be_focused()


def test_dark_mode_is_kept(visit: Visit) -> None:
    """The choice survives a reload."""
    page = visit.page
    page.get_by_role("button", name="Dark mode").click()
    page.reload()
    expect(page.get_by_role("button", name="Dark mode")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.body.classList.contains('dark')")


# 8. safe to leave running


def test_hostile_text_is_shown_and_does_nothing(visit: Visit) -> None:
    """A document, title, file name and question full of markup are plain text wherever they are shown."""
    question = f"What does the lorikeet say? {MARKUP}"
    visit.ask(question)
    page = visit.page
    assert page.locator("#chat .q").text_content() == question
    page.locator("#chat a.cite").first.hover()
    expect(page.locator("#preview")).to_contain_text("<img src=x onerror")
    quoted = " ".join(page.locator("#chat .quoted").all_text_contents())
    assert MARKUP in quoted
    page.locator("#chat a.cite").first.click()
    expect(page.locator("#panel h2")).to_contain_text("<script>window.pwned=2</script>")
    page.locator("#chat .tool.why").first.click()
    expect(page.locator("#panel .why")).to_contain_text("<img src=x onerror")
    page.get_by_role("button", name="Documents", exact=True).click()
    expect(page.locator("#panel .library")).to_contain_text("<img src=x onerror")
    page.get_by_role("button", name="Conversations").click()
    expect(page.get_by_role("dialog")).to_contain_text("<script>window.pwned=2</script>")
    page.keyboard.press("Escape")
    assert page.evaluate("window.pwned") is None
    made = ":is(#chat, #panel, #conversations, #preview) :is(img, script, iframe, code, form, object, svg image)"
    assert page.locator(made).count() == 0
    links = page.locator("#chat a, #panel a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert all(link.startswith("#") for link in links)


def test_the_policy_stops_what_slips_through(visit: Visit) -> None:
    """Were markup ever to get into the page, its handlers would not run and its images not load."""
    page = visit.page
    page.evaluate(
        """() => { const box = document.createElement('div'); document.body.append(box);
        box.innerHTML = '<img src="https://evil.example/x.png" onerror="window.pwned=1">' +
          '<a id="bad" href="javascript:window.pwned=2">x</a>';
        document.getElementById('bad').click(); }"""
    )
    page.wait_for_timeout(300)
    assert page.evaluate("window.pwned") is None
    assert any("evil.example" in error for error in visit.errors)
    visit.errors.clear()
    visit.outside.clear()  # refused by the browser before it left


def test_bad_questions_get_a_polite_line(visit: Visit) -> None:
    """Nothing for an empty question, one line for one that is too long, and no detail of a failure."""
    page = visit.page
    page.fill("#ask textarea", "   ")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    expect(page.locator("#chat .q")).to_have_count(0)
    visit.ask("x" * 2500)
    expect(page.locator("#chat .notice")).to_contain_text("Ask in fewer words")
    visit.ask("Please explode")
    expect(page.locator("#chat .notice").last).to_contain_text("Something went wrong")
    assert "passwd" not in (page.locator("#chat").text_content() or "")


def test_a_spoilt_store_does_not_break_the_page(visit: Visit) -> None:
    """Whatever another script left in the browser's storage, the page starts."""
    page = visit.page
    turn = {"question": MARKUP, "text": MARKUP, "citations": [MARKUP]}
    evil = json.dumps([{"id": "x", "name": MARKUP, "when": "x", "turns": [turn]}, None, 7])
    page.evaluate("text => localStorage.setItem('rag-chat.conversations', text)", evil)
    page.evaluate("sessionStorage.setItem('rag-chat.open', 'x')")
    page.reload()
    expect(page.locator("#chat .q")).to_have_text(MARKUP)
    expect(page.locator("#chat .notice")).to_contain_text("left out")
    assert page.evaluate("window.pwned") is None
