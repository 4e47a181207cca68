# artiphys: `make figures` and `make test` do all the set-up by themselves.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python -m
# Behind an institute's proxy, uv must trust what the machine trusts, as pip does.
export UV_SYSTEM_CERTS = 1
export UV_NATIVE_TLS = 1

.DEFAULT_GOAL := help
.PHONY: help install figures docs vocabulary test test-slow test-faults test-gpu test-slurm test-browser test-commands bench bench-gpu check lock miniature decoder clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## virtual environment with everything, at locked versions

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.lock \
		|| $(RUN) pip install --quiet --require-hashes -r requirements.lock
	$(RUN) pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

figures: install ## the main job on the embedded network: tables, figures and pages in outputs/
	$(RUN) pipeline

docs: install ## docs/options.md and docs/tables.md, from the YAML comments and docstrings
	$(VENV)/bin/python docs/reference.py

vocabulary: install ## docs/vocabulary.md: a small picture of what each choice does (minutes)
	$(VENV)/bin/python docs/vocabulary.py

test: install ## the default tests (CPU, offline)
	OMP_NUM_THREADS=1 $(RUN) pytest -n auto --dist loadfile

test-slow: install ## the slow tests
	$(RUN) pytest -m slow

test-faults: install ## the tests that kill, damage and disturb runs
	$(RUN) pytest -m 'faults and not slow' -n 2 --dist loadfile

test-gpu: install ## the tests that need a GPU
	$(RUN) pytest -m gpu

test-slurm: install ## the tests on a Slurm that they start (root on Debian or Ubuntu; else skipped)
	$(RUN) pytest -m slurm

test-commands: install ## the tests that run long commands in processes of their own
	$(RUN) pytest -m commands

test-browser: install ## the tests of the pages in Chromium (installed where apt-get and root can)
	@command -v chromium google-chrome >/dev/null || [ -n "$$CHROMIUM" ] || [ "$$(id -u)" != 0 ] \
		|| { apt-get update -qq && apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends chromium >/dev/null; }
	$(RUN) pytest -m browser

bench: install ## speed against plain code and the machine's peak (about ten minutes, quiet machine)
	$(RUN) tests.benchmarks

bench-gpu: install ## the same on a CUDA device
	$(RUN) tests.benchmarks --device cuda

check: install ## style, types, import order, spelling
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python
	$(VENV)/bin/codespell

lock: ## renew requirements.lock from pyproject.toml
	uv pip compile --universal --generate-hashes --python-version 3.11 --extra dev \
		--no-header --no-annotate pyproject.toml -o requirements.lock

miniature: install ## train the embedded network anew (ten minutes on two cores)
	$(RUN) pipeline 'stages=[train]' training.out=pipeline/miniature/weights tracking=none

decoder: install ## train the embedded generator anew (five minutes of one core)
	$(RUN) pipeline 'stages=[train]' training.network=decoder training.out=pipeline/miniature/weights tracking=none

clean: ## remove the virtual environment and caches; outputs stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
