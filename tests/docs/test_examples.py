"""Every example of the documentation runs, in the order of its page, in a folder furnished as the page assumes."""

import re
import shutil

import pytest

from doc_pages import READMES, all_pages, blocks, shell
from processes import free_port

pytestmark = pytest.mark.slow

PORT = "8155"
"""What the pages write for a port; a free one takes its place."""
SHORTER = {"train photos --out pets\n": "train photos --out pets --epochs 4\n"}
"""A command whose own choice of 120 epochs takes half a minute."""
ELSEWHERE = {"extend.md", "extend-kind.md"}  # test_extend.py
RUN = [page for page in all_pages() if page.name not in ELSEWHERE and page != READMES[1] and not page.match("*.zh.md")]
"""The translations have the same blocks (test_pages.py)."""
_PRINTED = re.compile(r"^print\(.*\)  # (.+)$", re.MULTILINE)
"""A `print` and, in a comment behind it, what it prints."""


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_examples_run(page, room, monkeypatch, capsys):
    monkeypatch.chdir(room)
    port = str(free_port())
    names = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "bash":
            if "curl" in block.text and shutil.which("curl") is None:
                continue
            script = block.text.replace(PORT, port)
            for whole, shorter in SHORTER.items():
                script = script.replace(whole, shorter)
            shell(script, room)
        elif block.language == "python":
            capsys.readouterr()
            exec(compile(block.text, page.name, "exec"), names)
            if expected := _PRINTED.findall(block.text):
                assert capsys.readouterr().out.splitlines() == expected
