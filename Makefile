# The commands of the first screen of the README. Everything lives in .venv; nothing is installed elsewhere but,
# for the page's tests, Debian's Chromium where it is missing and can be had.
PYTHON ?= python3.11
PORT ?= 8000
HOST ?= 127.0.0.1
BUNDLE ?= runs/digits
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: run install test lint docs bench browser clean

run: $(INSTALLED)
	@$(BIN)/sightsmith doctor --port $(PORT) --host $(HOST) >/dev/null || { $(BIN)/sightsmith doctor --port $(PORT) --host $(HOST) | tail -1; exit 2; }
	@test -f $(BUNDLE)/manifest.json || $(BIN)/sightsmith train digits --out $(BUNDLE) $$(test -d $(BUNDLE).train && echo --resume)
	@test -f $(BUNDLE)/report/index.html || $(BIN)/sightsmith evaluate $(BUNDLE)
	@test -d $(BUNDLE)/backends/openvino || $(BIN)/sightsmith export $(BUNDLE) --to openvino --prove test
	@exec $(BIN)/sightsmith serve $(BUNDLE) --host $(HOST) --port $(PORT) --examples

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed as '$(PYTHON)'; name another with PYTHON=…"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[train,onnx,dev]'
	@touch $@

test: $(INSTALLED) browser
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED)
	$(BIN)/python docs/site.py
	@echo "The site: site/index.html"

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

# The page is tested in a real browser. Without root the tests skip and say so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	    apt-get -qq update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null; } || \
	  echo "No Chromium here: the browser tests will skip."

clean:
	rm -rf .venv runs build dist site
