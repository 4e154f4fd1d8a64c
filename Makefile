# One door for people and CI. Needs make and a Python 3.11, 3.12 or 3.13; everything else goes into .venv from the
# hashed lock. The stamp file makes the second run start at once.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	if $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; \
	then echo $$p; break; fi; done)
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

LAYERS := core hosts consistency chaos bench
CODE := $(LAYERS) tests README.md quorate/__init__.py quorate/__main__.py

.PHONY: help setup demo test check soak bench lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

setup: $(READY) ## create .venv from the lock (every other target does it by itself)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "quorate needs Python 3.11, 3.12 or 3.13: none found. Try: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "setting up $(VENV) from requirements.lock (once, about half a minute)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --disable-pip-version-check -q --require-hashes -r requirements.lock
	@$(PY) -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY) ## three hosts, a leader killed in full load, nothing lost
	$(PY) -m quorate demo

test: $(READY) ## the whole suite, with at least 20 kill -9
	$(PY) -m pytest

check: $(READY) ## lint, format, strict types, layer rules
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m basedpyright
	$(PY) -m pytest tests/tidy

soak: $(READY) ## the long variants: 500 kill -9, more seeds, more images
	QUORATE_SOAK=1 $(PY) -m pytest

bench: $(READY) ## measure quorate beside its peers, in one run
	$(PY) -m quorate.bench

lock: ## resolve the dependencies anew into requirements.lock
	$(PY) -m uv pip compile -q --upgrade --universal --generate-hashes --all-extras --python-version 3.11 \
		--no-header --no-annotate --no-emit-index-url pyproject.toml -o requirements.lock
	sed -i '1i # Every dependency of every extra, exact and hashed, for all supported Pythons. Made by `make lock`.' requirements.lock

clean: ## remove .venv, caches and build output
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis runs
	find $(LAYERS) tests quorate -name __pycache__ -type d -prune -exec rm -rf {} +
