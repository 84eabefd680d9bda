PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint clean

# Real predictions from the model inside the package, from nothing but Python.
demo: .venv/base
	$(BIN)/swiss predict sentiment examples/reviews.txt
	$(BIN)/swiss predict paraphrase examples/questions.tsv

# Everything that must hold.
test: lint .venv/browser
	$(BIN)/pytest --numprocesses auto

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The page of swiss report is tested in a browser; where none can be had, those tests are skipped.
.venv/browser: | .venv/dev
	@for name in chromium chromium-browser google-chrome; do command -v $$name && break; done \
	|| { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium; } \
	|| echo "no browser: the tests that open the report are skipped"
	touch $@

.venv/base: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[train,report,dev]'
	touch $@ .venv/base

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
