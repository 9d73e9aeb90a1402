# The two commands of the README: `make chat` and `make test`. Both set up what they need; run again, they are fast.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PORT ?= 7860

.PHONY: setup chat index test check gate lint types evals screenshots benchmarks clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

index: $(READY)
	$(BIN)/rag index seeds

chat: index
	$(BIN)/rag serve --port $(PORT)

test: $(READY)
	$(BIN)/python -m pytest

evals: $(READY)
	$(BIN)/python -m evals run seeds
	$(BIN)/python -m evals report

screenshots: index
	$(BIN)/python benchmarks/chat_screenshots.py

benchmarks: index
	$(BIN)/python benchmarks/query_latency.py
	$(BIN)/python benchmarks/chat_first_paint.py
	$(BIN)/python benchmarks/chat_load.py --people 50 --seconds 120

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

gate: $(READY)
	$(BIN)/python -m evals gate

check: lint types gate test

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build *.egg-info
