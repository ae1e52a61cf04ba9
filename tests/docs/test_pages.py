"""What the pages say exists: links, pictures, verbs, flags; and both READMEs are one."""

import re
import subprocess
from functools import cache

import pytest

from doc_pages import BIN, DOCS, LANGUAGES, READMES, ROOT, VERBS, all_pages, blocks, english, environment, prose

ON_ANOTHER_PAGE = {"inspect": "bundle", "verify": "bundle", "card": "bundle"}

_LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_INLINE = re.compile(r"`([^`\n]+)`")
every_page = pytest.mark.parametrize("page", all_pages(), ids=lambda page: page.name)


@cache
def flags(verb: str) -> frozenset[str]:
    """Return the flags that the help of a verb names."""
    told = subprocess.run(
        [BIN / "sightsmith", verb, "--help"], env=environment(COLUMNS="200"), text=True, capture_output=True, check=True
    )
    return frozenset(_FLAG.findall(told.stdout)) | {"--help"}


def commands(page):
    """Yield (verb, text) of each command line of ours on a page, in blocks and in the text."""
    lines = [line for block in blocks(page) if block.language in {"bash", "sh"} for line in joined(block.text)]
    for line in [*lines, *_INLINE.findall(prose(page))]:
        for found in re.finditer(r"(?:^|[;&|(])\s*sightsmith ([a-z]+)([^;&|]*)", line):
            yield found.group(1), found.group(2)


def joined(text):
    return text.replace("\\\n", " ").splitlines()


def test_the_verbs_are_those_of_the_command_line():
    told = subprocess.run([BIN / "sightsmith", "--help"], env=environment(), text=True, capture_output=True, check=True)
    assert set(re.findall(r"^│ ([a-z]+) ", told.stdout, re.MULTILINE)) == set(VERBS)


def test_every_verb_has_a_page_and_the_readme_leads_to_every_page():
    for verb in VERBS:
        assert (DOCS / f"{ON_ANOTHER_PAGE.get(verb, verb)}.md").is_file(), verb
    pages = {page.name for page in DOCS.glob("*.md")}
    translated = {page for page in pages if english(page) != page}
    for readme, expected in zip(READMES, (pages - translated, pages - set(map(english, translated))), strict=True):
        linked = set(re.findall(r"\]\(docs/([\w.-]+\.md)", readme.read_text(encoding="utf-8")))
        assert linked == expected


@pytest.mark.parametrize(
    "pages",
    [READMES, *((DOCS / english(page.name), page) for page in DOCS.glob("*.zh.md"))],
    ids=lambda pages: pages[0].name,
)
def test_a_page_and_its_translation_have_the_same_blocks_headings_and_links(pages):
    assert blocks(pages[0]) == blocks(pages[1])
    levels = [re.findall(r"^(#+) ", prose(page), re.MULTILINE) for page in pages]
    assert levels[0] == levels[1]
    targets = [
        sorted(
            english(a or b) for a, b in _LINK.findall(page.read_text(encoding="utf-8")) if not a.startswith("README")
        )
        for page in pages
    ]
    assert targets[0] == targets[1]


@every_page
def test_links_and_pictures_are_there(page):
    text = page.read_text(encoding="utf-8")
    for first, second in _LINK.findall(text):
        target, _, anchor = (first or second).partition("#")
        if target.startswith(("http://", "https://")):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name}: {target}"
        assert ROOT in path.parents, f"{page.name}: {target} leads out of the repository"
        if anchor:
            assert anchor in anchors(path), f"{page.name}: {target}#{anchor}"


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_pictures_are_light():
    for picture in (DOCS / "images").iterdir():
        assert picture.stat().st_size < 300_000, picture.name


@every_page
def test_blocks_are_of_known_languages(page):
    assert {block.language for block in blocks(page)} <= LANGUAGES
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks(page))


@every_page
def test_commands_and_their_flags_exist(page):
    for verb, rest in commands(page):
        assert verb in VERBS, f"{page.name}: sightsmith {verb}"
        unknown = [flag for flag in _FLAG.findall(rest) if flag not in flags(verb)]
        assert not unknown, f"{page.name}: sightsmith {verb} has no {unknown}"


@every_page
def test_flags_in_the_text_exist(page):
    own = [page.stem] if page.stem in VERBS else ["inspect", "verify", "card"] if page.stem == "bundle" else VERBS
    for code in _INLINE.findall(prose(page)):
        named = [verb for verb in VERBS if re.match(rf"(sightsmith )?{verb}\b", code)]
        if code.startswith(("curl", "pip", "git")):
            continue
        known = frozenset().union(*(flags(verb) for verb in named or own))
        unknown = [flag for flag in _FLAG.findall(code) if flag not in known]
        assert not unknown, f"{page.name}: `{code}`: no verb here has {unknown}"
