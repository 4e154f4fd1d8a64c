# One door for people and CI. Needs make and a Python 3.11, 3.12 or 3.13; everything else goes into .venv from the
# hashed lock. The stamp file makes the second run start at once.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	if $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; \
	then echo $$p; break; fi; done)
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# Hundreds of processes start in the tests: their bytecode is kept whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

LAYERS := core hosts consistency chaos bench
# Tests that measure seconds have the machine to themselves. Then those that look at the clock, one at a
# time, and those of whole processes, which mostly wait, three at a time (one of the laboratory's runs
# among them); those that only compute take what these leave, beside them.
MEASURED := tests/live/test_agents.py
CLOCK := $(addprefix tests/,admin agents agents_state events group hosts store wire)
WHOLE := $(addprefix tests/,live/test_chaos_runs.py live/test_kill.py live/test_store_kill.py live/test_command.py \
	report/test_browser.py bench live cli demo lab readme toxiproxy)
BY_ONE := --dist load --maxschedchunk 1
CODE := $(LAYERS) tests README.md quorate/__init__.py quorate/__main__.py

.PHONY: help setup demo test test-live test-computed check check-types check-rules soak bench bench-guard lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

setup: $(READY) ## create .venv from the lock (every other target does it by itself)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "quorate needs Python 3.11, 3.12 or 3.13: none found. Try: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "setting up $(VENV) from requirements.lock (once, about half a minute)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --no-compile --disable-pip-version-check -q --require-hashes -r requirements.lock
	@$(PY) -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY) ## three hosts, a leader killed in full load, nothing lost
	$(PY) -m quorate demo

test: $(READY) ## the whole suite, with at least 20 kill -9 and six runs of the laboratory
	$(PY) -m quorate chaos install-toxiproxy
	$(PY) -m pytest $(MEASURED)
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-live test-computed

test-live: $(READY)
	$(PY) -m pytest $(CLOCK); clock=$$?; \
	$(PY) -m pytest -n 3 --dist loadgroup $(WHOLE) --ignore=$(MEASURED) && exit $$clock

test-computed: $(READY)
	nice -n 19 $(PY) -m pytest -n 2 $(BY_ONE) tests $(addprefix --ignore=,$(MEASURED) $(CLOCK) $(WHOLE))

check: $(READY) ## lint, format, strict types, layer rules
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)
	@$(MAKE) --no-print-directory -j2 check-types check-rules

check-types:
	$(PY) -m basedpyright

check-rules:
	$(PY) -m pytest tests/tidy

soak: $(READY) ## the long variants: 500 kill -9, more seeds, more images, the matrix of the laboratory
	$(PY) -m quorate chaos install-toxiproxy
	QUORATE_SOAK=1 $(PY) -m pytest $(MEASURED)
	QUORATE_SOAK=1 $(MAKE) --no-print-directory test-live
	QUORATE_SOAK=1 $(MAKE) --no-print-directory test-computed
	$(PY) -m quorate chaos suite --seconds 20 --jobs 3 --page chaos/RESULTS.md

bench: $(READY) ## measure quorate beside its peers, in one run
	$(PY) -m quorate.bench

bench-guard: $(READY) ## has a strong write become dearer? (counts, and ratios to peers)
	$(PY) -m quorate.bench.guard

lock: ## resolve the dependencies anew into requirements.lock
	$(PY) -m uv pip compile -q --upgrade --universal --generate-hashes --all-extras --python-version 3.11 \
		--no-header --no-annotate --no-emit-index-url pyproject.toml -o requirements.lock
	sed -i '1i # Every dependency of every extra, exact and hashed, for all supported Pythons. Made by `make lock`.' requirements.lock

clean: ## remove .venv, caches and build output
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis runs
	find $(LAYERS) tests quorate -name __pycache__ -type d -prune -exec rm -rf {} +
