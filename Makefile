# Everything a contributor types. Recipes print plainly: no target forces colour.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup rehearse chaos bench test coverage proof night real lint format docs lock dist clean

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CAMPAIGN ?= sharing-lille
WORKERS ?= 3
PYTEST_ARGS ?=
# Of `make chaos`: how many deliveries, the seed of every mishap, sqlite or postgresql, a protection to leave out.
N ?= 2000
SEED ?= 1
LEDGER ?= sqlite
BREAK ?=
# Of `make bench`: the measures, all by default, and its options.
BENCH ?=

# The first Python found that is recent enough; `make setup PYTHON=/path/to/python3` names another.
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c '$(RECENT)' 2>/dev/null && { echo "$$p"; break; }; done)

UV := $(BIN)/uv --quiet
LOCK := $(UV) pip compile --universal --python-version 3.11 --upgrade --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## Make .venv: the pipeline and every locked dependency

# The stamp holds the place it was made for: the scripts of a copied or moved .venv point to the old one.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
FRESH := yes
endif

$(READY): pyproject.toml requirements.lock .ci/uv.lock
	@'$(PYTHON)' -c '$(RECENT)' 2>/dev/null || { \
		echo "make setup: no Python 3.11 or later found. Install one, or name it: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@{ test -z '$(FRESH)' && $(BIN)/python -c '$(RECENT)' && $(BIN)/python -c 'import pip'; } 2>/dev/null || \
		'$(PYTHON)' -m venv --clear $(VENV) || { \
		echo "make setup: '$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .ci/uv.lock
	@# pip may know a mirror or a certificate that uv does not; the hashes hold for both.
	@$(UV) pip install --python $(BIN)/python --no-deps --require-hashes -r requirements.lock || { \
		echo "make setup: uv could not install the dependencies, trying with pip" >&2; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock; }
	@$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --offline --editable .
	@printf '%s\n' '$(CURDIR)' > $(READY)
	@echo "Ready: $(BIN)/pipeline"

rehearse: setup ## Play the whole Sharing Lille campaign on a simulated clock
	@$(BIN)/pipeline rehearse $(CAMPAIGN)

chaos: setup ## Prove it: kill daemons, break the wire, let the servers count (N, SEED, LEDGER, BREAK)
	@$(BIN)/python -m tests.chaos.run --deliveries $(N) --seed $(SEED) --ledger $(LEDGER) $(if $(BREAK),--break $(BREAK))

bench: setup ## Measure: each time beside a baseline of the same run (BENCH="plan fit --rounds 9")
	@$(BIN)/python -m tests.bench $(BENCH)

# The tests of the modules that carry the promises. APART=yes leaves them to `make coverage`.
GUARDED := tests/ledger \
	$(addprefix tests/test_,$(addsuffix .py,planning composing delivery dispatch dispatch_regressions policy receipts tick))
APART ?=

test: setup ## Run the suite
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS) $(if $(APART),$(addprefix --ignore=,$(GUARDED)))

# Measuring costs the suite a third of its time, so it is done apart, with the tests of the guarded modules alone.
coverage: setup ## Hold the modules that carry the promises to their coverage of branches
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report= -q $(PYTEST_ARGS) $(GUARDED)
	$(BIN)/coverage report
	$(BIN)/python .ci/branch_coverage.py --floor 95 \
		pipeline/planning.py pipeline/composing.py pipeline/delivery.py pipeline/dispatch.py 'pipeline/ledger/*'

proof: setup ## Run the tests that take their time, which `make test` leaves out
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m 'long and not night' $(PYTEST_ARGS)

night: setup ## Run the proofs of minutes: ten thousand texts a network, storms without a protection
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m night $(PYTEST_ARGS)

real: setup ## Install the servers and readers written by others that tests/real talks to, into .real/
	.ci/real/feeds.sh
	.ci/real/mastodon.sh
	.ci/real/bluesky.sh
	.ci/real/axe.sh

lint: setup ## Check style, types and import rules; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: setup ## Rewrite the code in the house style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup ## Write into docs/ what is made from the code
	$(BIN)/python -m docs.state_diagram

lock: setup ## Choose the newest allowed dependencies; rewrite both lock files
	$(LOCK) pyproject.toml --group pyproject.toml:dev --all-extras --output-file requirements.lock
	echo uv | $(LOCK) - --output-file .ci/uv.lock

dist: setup ## Build the wheel and the source archive into dist/
	$(BIN)/hatchling build

clean: ## Remove .venv, the caches and everything built
	rm -rf $(VENV) .real real.log dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.*
	find pipeline tests .ci docs -name __pycache__ -type d -prune -exec rm -rf {} +
