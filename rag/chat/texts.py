"""Every word the chat says, in one place. Another language is another `Texts`."""

from __future__ import annotations

from dataclasses import dataclass

from rag.records import SourceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What people read. `{…}` is filled in by the one place that uses the text."""

    language: str = "en"
    """BCP 47."""
    title: str = "Ask the documents"
    subtitle: str = "Answers in the documents’ own words, each with its place"
    note: str = "Quotes are word for word. Open the source before you rely on it."

    # asking
    question_label: str = "Your question"
    question_placeholder: str = "Ask about the documents…"
    start_heading: str = "What do you want to know?"
    start_text: str = "Every answer is made of exact quotes. Each number opens its source at that place."
    start_examples: str = "For example"
    looking: str = "Looking through the documents…"
    stopped: str = "Stopped."
    busy: str = "Many questions are being answered just now. Please ask again in a few seconds."
    too_fast: str = "That was quicker than this server can read. Please wait a few seconds and ask again."
    failed: str = "Something went wrong while answering. Please try again; the server’s log says more."

    # answers
    source_of: str = "Source {number}: {title}, {location}"
    cards_heading: str = "Sources"
    open_quote: str = "Open source {number} at this quote"
    open_passage: str = "Open this passage"
    closest_heading: str = "The closest passages, which may not answer it"
    suggestions_heading: str = "Questions that the documents answer"
    lost_one: str = "One quote is left out: its document was changed or removed since."
    lost_many: str = "{count} quotes are left out: their documents were changed or removed since."
    source_changed: str = "changed since the index was built; this is what it said then"
    source_gone: str = "no longer where it was when the index was built"
    copy_quote: str = "Copy with reference"
    copy_as: str = "Choose the reference style"
    copy_answer: str = "Copy answer"
    retry: str = "Ask again"
    edit: str = "Edit question"
    why: str = "Why this answer"
    vote_up: str = "Good answer"
    vote_down: str = "Bad answer"
    chosen: str = "chosen"
    quotes_one: str = "1 quote from {documents}"
    quotes_many: str = "{count} quotes from {documents}"
    documents_one: str = "1 document"
    documents_many: str = "{count} documents"

    # the source panel
    panel_empty_heading: str = "Sources appear here"
    panel_empty: str = "Choose a number in an answer to read the document at exactly that place."
    panel_gone: str = "This place is not in the index any more"
    panel_gone_text: str = "The document was changed or removed. Ask again to get a fresh quote."
    close: str = "Close"
    previous_quote: str = "Previous quote"
    next_quote: str = "Next quote"
    quote_of: str = "Quote {number} of {count}"
    percent: str = "{percent} % of the way through"
    document_text: str = "Text of the document"
    rail_label: str = "Places of the quotes in the document"
    earlier_part: str = "Earlier part"
    later_part: str = "Later part"
    line: str = "Line {number}"
    characters_words: str = "{words} words"

    # documents
    documents: str = "Documents"
    documents_text: str = "Read any of them from end to end, or choose which ones to ask."
    ask_this: str = "Ask “{title}”"
    ask_all: str = "Ask all documents"
    scope: str = "Asking {count} of {total} documents"
    scope_change: str = "Change"
    choice_lost_some: str = (
        "Not asked: the index still holds {left} of the {chosen} documents you chose; the rest was changed or removed. "
        "Only what is left is asked now. Choose the documents again, or ask again."
    )
    choice_lost_all: str = (
        "Not asked: the index no longer holds any document that you chose, because they were changed or removed. "
        "All documents are asked now. Choose the documents again, or ask again."
    )
    no_documents: str = "The index holds no documents."

    # why this answer
    why_answered: str = "Answered, because the confidence of {confidence} reaches the threshold of {threshold}."
    why_abstained: str = (
        "Not answered, because the confidence of {confidence} stays below the threshold of {threshold}."
    )
    why_unquotable: str = (
        "Not answered: the confidence of {confidence} reaches the threshold of {threshold}, "
        "but nothing was found that could be quoted."
    )
    read_as: str = "Read as: {question}"
    why_gone: str = "This answer is from an earlier visit"
    why_gone_text: str = "Ask the question again to see what was considered."
    confidence: str = "Confidence"
    signals: str = "What moved the confidence"
    signal: str = "Signal"
    signal_names: tuple[tuple[str, str], ...] = (
        ("mean_answering", "Reading: how likely the passages answer"),
        ("best_answering", "Reading: the passage that answers most likely"),
        ("first_answering", "Reading: the first passage"),
        ("best_read", "Reading: the part where the answer stands"),
        ("best_segment", "Meaning: the closest part"),
        ("best_passage", "Meaning: the closest passage"),
        ("said_and_meant", "Meaning and words together, in one part"),
        ("covered_by_passage", "Share of the question’s words in the best passage"),
        ("rarest_missing", "Rarest word that the best passage lacks"),
        ("names_missing", "Names and numbers that the best passage lacks"),
        ("numbers_missing", "Numbers that no passage has"),
        ("kind_found", "The kind of thing asked for is near"),
    )
    value: str = "Value"
    effect: str = "Effect"
    passages: str = "Passages considered"
    meaning: str = "Meaning"
    best_sentence: str = "Best part"
    keywords: str = "Words"
    fused: str = "Together"
    passages_help: str = (
        "Meaning and best part compare vectors (−1 to 1), words is BM25, and together adds what stands around. "
        "The passages are in order of it, unless a reader has put them in another."
    )
    timings: str = "Time of each stage"
    stage: str = "Stage"
    milliseconds: str = "Milliseconds"
    made_with: str = "Index version {version}, encoder {encoder}."

    # conversations, export, feedback
    menu: str = "Conversations"
    new_chat: str = "New chat"
    dark: str = "Dark mode"
    conversations_text: str = "Kept in this browser only."
    conversations_none: str = "None yet."
    rename: str = "Rename"
    delete: str = "Delete"
    deleted: str = "Deleted: {name}"
    undo: str = "Undo"
    save: str = "Save"
    new_name: str = "New name"
    export: str = "Export"
    export_markdown: str = "Markdown"
    export_html: str = "Web page to print"
    export_heading: str = "References"
    export_made: str = "Quotes are word for word from index version {versions}."
    export_empty: str = "There is nothing to export yet."
    copied: str = "Copied"
    copied_quote: str = "Copied with its reference ({style})"
    copy_failed: str = "The browser did not allow copying."
    voted: str = "Saved on this computer. Thank you."
    vote_word: str = "Would you like to say why? (optional)"
    vote_failed: str = "The feedback could not be saved."
    send: str = "Send"
    answer_ready: str = "The answer is there: {summary}."
    answer_none: str = "The documents do not answer this. The closest passages are shown."

    # references
    styles: tuple[tuple[str, str], ...] = (
        ("plain", "Plain"),
        ("apa", "APA"),
        ("mla", "MLA"),
        ("chicago", "Chicago"),
        ("bibtex", "BibTeX"),
    )
    no_date: str = "date not known"

    def stale(self, state: SourceState | None) -> str:
        """What there is to say of a source whose file has changed or gone; empty for any other."""
        if state is SourceState.CHANGED:
            return self.source_changed
        return self.source_gone if state is SourceState.GONE else ""

    def lost(self, count: int) -> str:
        """That quotes are left out."""
        return self.lost_one if count == 1 else self.lost_many.format(count=count)

    def choice_lost(self, left: int, chosen: int) -> str:
        """That a question was not asked, since chosen documents are gone, and what is asked from now on."""
        return self.choice_lost_some.format(left=left, chosen=chosen) if left else self.choice_lost_all


ENGLISH = Texts()
