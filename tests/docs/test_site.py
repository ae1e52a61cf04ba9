"""The documentation site is built strictly from the repository alone, with search, API reference and Chinese pages."""

import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from doc_pages import DOCS, ROOT, blocks, english

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(made_once):
    """Build the site once for all test processes: every build uses the same folders of the checkout."""

    def build(folder):
        done = subprocess.run([sys.executable, DOCS / "site.py"], cwd=ROOT, text=True, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.copytree(ROOT / "site", folder / "site")

    return made_once("site", build) / "site"


def test_every_page_is_in_the_site_and_in_its_menu(site):
    home = (site / "index.html").read_text(encoding="utf-8")
    for page in DOCS.glob("*.zh.md"):
        translated = site / "zh" / english(page.name).replace(".md", ".html")
        assert page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") in translated.read_text("utf-8")
    originals = [page for page in DOCS.glob("*.md") if english(page.name) == page.name]
    for page in [*originals, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]:
        name = f"{page.stem.lower()}.html"
        assert (site / name).is_file(), name
        assert f'href="{name}"' in home, name


def test_formulas_are_drawn(site):
    formulas = [block.text for block in blocks(DOCS / "algorithms.md") if block.language == "math"]
    for page in (site / "algorithms.html", site / "zh/algorithms.html"):
        drawn = re.findall(r'<svg role="img" aria-label="([^"]+)"', page.read_text(encoding="utf-8"))
        assert [unescape(tex) for tex in drawn] == [tex.strip() for tex in formulas]


def test_the_reference_has_the_public_names(site):
    reference = (site / "reference.html").read_text(encoding="utf-8")
    for name in ("sightsmith.model.train", "sightsmith.model.Model.predict", "sightsmith.kinds.tags.value.Tags"):
        assert f'id="{name}"' in reference


@pytest.mark.browser
def test_it_is_searched_and_loads_nothing_from_elsewhere(site, browser):
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_port}"
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{home}/index.html")
    page.get_by_role("textbox", name="Search").first.click()
    page.get_by_role("textbox", name="Search").first.press_sequentially("conformal")
    page.locator(".md-search-result__link[href*='task-number.html']").first.wait_for(state="attached")
    page.goto(f"{home}/zh/index.html")
    assert "数据" in page.locator("article").inner_text()
    assert [url for url in asked if not url.startswith((home, "blob:", "data:"))] == []
    page.close()
    server.shutdown()
    server.server_close()
