PYTHON ?= python3
BIN := .venv/bin
INSTALL := bin/python -m pip install --quiet --disable-pip-version-check
PIP := .venv/$(INSTALL) --constraint constraints.txt

.PHONY: demo train-demo test lint coverage docs docs-reference bench clean

# Real predictions from the model inside the package, from nothing but Python.
demo: .venv/base
	$(BIN)/swiss predict sentiment examples/reviews.txt
	$(BIN)/swiss predict paraphrase examples/questions.tsv

# Training from data to report in two minutes on two cores, without a network once it is installed.
train-demo: .venv/report
	rm -rf runs/demo
	$(BIN)/swiss train --config examples/training/recipe.toml --offline $(TRAIN)
	$(BIN)/swiss export runs/demo
	$(BIN)/swiss predict sentiment examples/reviews.txt --model runs/demo
	$(BIN)/swiss report runs/demo --output runs/demo-report.html --force

# Everything that must hold.
test: lint .venv/browser
	$(BIN)/pytest --numprocesses auto

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Which lines and branches the tests run: a table here, a page per file in htmlcov/.
coverage: .venv/browser
	$(BIN)/pytest --numprocesses auto --cov --cov-report term --cov-report html

# The documentation, into site/. Anything that would be a warning ends it.
docs: .venv/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# The pages of docs/ that come from the code: command reference, methods, drawing of the model.
docs-reference: .venv/dev
	$(BIN)/python docs/generate.py

# The page of swiss report is tested in a browser; where none can be had, those tests are skipped.
.venv/browser: | .venv/dev
	@for name in chromium chromium-browser google-chrome; do command -v $$name && break; done \
	|| { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium; } \
	|| echo "no browser: the tests that open the report are skipped"
	touch $@

# Against what else does the job: make bench DATA=data/cs224n ENCODER=bert-base-uncased BENCH=--quick
bench: .venv-bench/ready .venv-bench-onnx/ready
	.venv-bench/bin/python -m benchmarks --onnx-python .venv-bench-onnx/bin/python \
	$(if $(DATA),--data '$(DATA)') $(if $(ENCODER),--encoder '$(ENCODER)') $(BENCH)

.venv-bench/ready: pyproject.toml constraints.txt benchmarks/peers.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/$(INSTALL) --constraint constraints.txt --editable '.[report]' \
	--requirement benchmarks/peers.txt
	touch $@

.venv-bench-onnx/ready: benchmarks/peers-onnx.txt
	$(PYTHON) -m venv .venv-bench-onnx
	.venv-bench-onnx/$(INSTALL) --requirement benchmarks/peers-onnx.txt
	touch $@

.venv/base: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/report: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[report]'
	touch $@ .venv/base

.venv/dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) 'pip>=25.1'  # the first that knows --group
	$(PIP) --editable '.[train,report,parquet,ray]' --group dev
	touch $@ .venv/base .venv/report

clean:
	rm -rf .venv .venv-bench .venv-bench-onnx build dist site htmlcov .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
