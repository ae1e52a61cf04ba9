"""The model card as HTML that a page may insert: raw HTML in it stays text, and no picture is loaded from elsewhere."""

from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def to_html(card: str) -> str:
    """Return Markdown as HTML, without the YAML header that model hubs read."""
    return _MARKDOWN.render(_body(card))


def _body(card: str) -> str:
    if not card.startswith("---\n"):
        return card
    _, end, body = card[4:].partition("\n---\n")
    return body if end else card
