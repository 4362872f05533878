# make demo     measure the smallest networks here and draw the report (report.html, report.png)
# make test     the tests, without the slow ones;  make test-all  with them;  make test-slow  these alone
# make test-exhaustive  what test-all checks on a network of each form, on every network: an hour
# make lint     ruff and mypy
# make results  the papers' studies on this machine, within 40 minutes, and docs/results.md of them
# make docs     README and docs from the committed records
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install -q -c constraints.txt

# A process a core, up to four.
PARALLEL := -n auto --maxprocesses 4 --dist worksteal

.PHONY: demo test test-all test-slow test-exhaustive lint results docs clean

# The native engine needs a C compiler.
NATIVE := $(if $(shell command -v cc || command -v gcc || command -v clang),--engine native)

demo: .venv/user
	$(BIN)/flyweight bench --level 40 --engine eager --engine onnxruntime $(NATIVE) \
	  --threads 1 --batch 1 --budget 60s --json records.jsonl --html report.html --png report.png

test: .venv/dev
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not exhaustive"

test-all: .venv/dev
	$(BIN)/python -m pytest $(PARALLEL) -m "not exhaustive"

test-slow: .venv/dev
	$(BIN)/python -m pytest $(PARALLEL) -m "slow and not exhaustive" $(if $(MINUTES),--minutes $(MINUTES))

test-exhaustive: .venv/dev
	$(BIN)/python -m pytest $(PARALLEL) -m exhaustive

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

results: .venv/dev
	$(BIN)/python benchmarks/papers.py
	$(BIN)/python docs/generate.py docs/results.md

docs: .venv/dev
	$(BIN)/python docs/generate.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/user: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e ".[dev]"
	@touch $@ .venv/user

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build src/*.egg-info
