"""The page: its layout, its looks and which event calls which handler."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from rag.chat.api import Endpoint
from rag.chat.escaping import escape
from rag.chat.handlers import Handlers
from rag.chat.open_chat import OpenChat
from rag.chat.panel import empty_view
from rag.chat.texts import Texts

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("base.js", "panel.js", "study.js", "conversations.js", "start.js")
CONVERSATION_KEPT_S = 12 * 3600
"""The server forgets a conversation after so long without a question; the browser still has it."""
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Crect width='32' height='32' rx='8' fill='%234f46e5'/%3E%3Cpath fill='%23fff' "
    "d='M14 9c-4 1-6 4-6 8v6h7v-7h-3c0-2 1-3 3-4zm10 0c-4 1-6 4-6 8v6h7v-7h-3c0-2 1-3 3-4z'/%3E%3C/svg%3E"
)


def build_page(handlers: Handlers, texts: Texts, endpoints: tuple[Endpoint, ...], max_waiting: int) -> gr.Blocks:
    """The Blocks of the chat. Inputs of events are the question box and the state, never a client-built component."""
    with gr.Blocks(title=texts.title, fill_height=True, fill_width=True, analytics_enabled=False) as page:
        new = OpenChat(examples_of=handlers.outputs.backend.version)  # each page gets its own copy
        open_chat = gr.State(new, time_to_live=CONVERSATION_KEPT_S)
        hub = gr.HTML(_header(texts), js_on_load=_script(), elem_id="hub", apply_default_css=False)
        with gr.Row(elem_id="main", equal_height=True):
            with gr.Column(elem_id="chat-column", scale=3, min_width=280):
                chat = gr.Chatbot(
                    elem_id="chat",
                    label=texts.title,
                    show_label=False,
                    layout="bubble",
                    height="100%",
                    buttons=[],
                    latex_delimiters=[],
                    allow_tags=False,
                    sanitize_html=True,
                    group_consecutive_messages=False,
                    autoscroll=False,
                    placeholder=handlers.outputs.start(),
                    scale=1,
                )
                scope = gr.HTML("", elem_id="scope", js_on_load=None, apply_default_css=False)
                box = gr.Textbox(
                    label=texts.question_label,
                    show_label=False,
                    placeholder=texts.question_placeholder,
                    lines=1,
                    max_lines=6,
                    submit_btn=True,
                    stop_btn=True,  # the style sheet shows the one or the other
                    autofocus=True,
                    container=False,
                    elem_id="ask",
                )
                note = f'<p class="note">{escape(texts.note)}</p>'
                gr.HTML(note, elem_id="note", js_on_load=None, apply_default_css=False)
            with gr.Column(elem_id="panel-column", scale=2, min_width=280):
                panel = gr.HTML(empty_view(texts), elem_id="panel", js_on_load=None, apply_default_css=False)
        ledger = gr.HTML("", elem_id="ledger", js_on_load=None, apply_default_css=False)
        tray = gr.HTML("", elem_id="tray", js_on_load=None, apply_default_css=False)

        asking, reading, studying = handlers.asking, handlers.reading, handlers.studying
        asked = [box, chat, open_chat, ledger, scope]
        streamed: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_id": "ask"}
        quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        running = [
            box.submit(asking.submit, [box, open_chat], asked, concurrency_limit=None, **streamed),
            hub.ask_question(asking.suggested, [open_chat], asked, **streamed),
            hub.retry_answer(asking.retry, [open_chat], asked, **streamed),
        ]
        box.stop(asking.stop, [open_chat], asked, cancels=running, **quick)
        hub.edit_question(asking.edit, [open_chat], asked, cancels=running, **quick)
        hub.new_chat(asking.new_chat, [open_chat], asked, cancels=running, **quick)
        hub.restore_chat(asking.restore, [open_chat], asked, cancels=running, **quick)
        hub.choose_documents(asking.choose, [open_chat], [open_chat, ledger, scope], **quick)
        page.load(asking.loaded, [open_chat], chat, **quick)
        hub.open_place(reading.open_place, None, panel, **quick)
        hub.open_document(reading.read, None, panel, **quick)
        hub.open_library(reading.library, [open_chat], panel, **quick)
        hub.open_why(reading.why, [open_chat], panel, **quick)
        hub.copy_reference(studying.reference, None, tray, **quick)
        hub.export_chat(studying.export, [open_chat], tray, **quick)
        hub.vote_answer(studying.vote, [open_chat], [chat, tray], **quick)
        for endpoint in endpoints:
            # Not in Gradio's queue: a tool that is makes Gradio ask itself over HTTP, at whatever address the first
            # client named as Host, from one address for all clients, and with no password.
            gr.api(endpoint, api_name=endpoint.__name__, queue=False)
    page.queue(max_size=max_waiting, default_concurrency_limit=4, api_open=False)
    return page


def theme() -> gr.themes.Base:
    """Indigo on slate in IBM Plex, from the files that Gradio ships: no font comes from outside.

    Only the weights 400 and 700: the 600 files of Gradio 6.31 lack letters such as é.
    """
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        radius_size="lg",
        font=[gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
        font_mono=[gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "monospace"],
    )


def head() -> str:
    """What goes into the page's head. Gradio's `css=` drops and rewrites rules, so the style sheet goes in here."""
    style = (STATIC / "chat.css").read_text(encoding="utf-8")
    return (
        '<meta name="referrer" content="no-referrer"><meta name="robots" content="noindex">'
        f'<link rel="icon" href="{ICON}"><style>{style}</style>'
    )


def _script() -> str:
    """The page's script, run by Gradio once the header is there."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS)


def _header(texts: Texts) -> str:
    words = escape(json.dumps(asdict(texts)))
    buttons = "".join(
        f'<button type="button" class="bar-button bar-{name}" data-do="{name}" title="{escape(label)}"{extra}>'
        f"<span>{escape(label)}</span></button>"
        for name, label, extra in (
            ("library", texts.documents, ""),
            ("export", texts.export, ' aria-haspopup="menu"'),
            ("new", texts.new_chat, ""),
            ("dark", texts.dark, ' aria-pressed="false"'),
        )
    )
    return (
        f'<div class="bar" id="bar" data-texts="{words}">'
        '<button type="button" class="bar-button bar-menu" data-do="menu" '
        f'title="{escape(texts.menu)}"><span>{escape(texts.menu)}</span></button>'
        f'<div class="brand"><h1>{escape(texts.title)}</h1><p>{escape(texts.subtitle)}</p></div>'
        f'<div class="bar-buttons">{buttons}</div></div>'
        f'<dialog id="conversations" aria-label="{escape(texts.menu)}"></dialog>'
        '<div id="live" class="vh" role="status" aria-live="polite"></div>'
        '<div id="toast" role="status" aria-live="polite" popover="manual"></div>'
        '<div id="preview" role="tooltip" popover="manual"></div><div id="choices" role="menu" popover="auto"></div>'
    )
