"""A page, read as a browser reads it."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Collects what a page refers to and checks that its elements are closed."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr", "wbr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.images = 0

    def handle_starttag(self, tag: str, attrs) -> None:
        self.links += [value for name, value in attrs if name in {"src", "href", "action"}]
        self.images += tag == "img"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
