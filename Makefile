# One word per task, the same here and in CI. `make` alone lists them.

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
PY      = $(VENV)/bin/python
STAMP   = $(VENV)/.installed
UV      = $(PY) -m uv pip compile pyproject.toml --universal --python-version 3.11 --only-binary :all: --generate-hashes \
          --no-emit-package retailos --no-header --no-annotate --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check bench chaos conformance mutants docs migration lock clean

help:  ## List these tasks
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP)  ## Make or renew the environment in .venv, from the lock

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"RetailOS needs Python 3.11 or later, and $(PYTHON) is {sys.version.split()[0]}. Name a newer one: make PYTHON=python3.11 setup")'
	@echo "Making the environment in $(VENV) from the lock, which takes a minute or two …"
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.lock || \
	  { echo "The environment is not complete: pip has said above what it could not install. Where it found no version of a" \
	    "package, it reached no index: see to the network, the proxy or PIP_INDEX_URL, and run make again." >&2; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## Start everything with sample data, and see a webhook delivered
	@$(VENV)/bin/retailos demo $(ARGS)

serve: setup  ## Serve on an embedded database: make serve ARGS="--data-dir data --port 8080"
	@$(VENV)/bin/retailos serve $(ARGS)

test: setup  ## Run the tests, five files at a time: make test ARGS="-n 0 -k name"
	@PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -n 5 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup  ## Run the static checks: style, types, layers, docstrings
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-logo
	@$(VENV)/bin/interrogate src tests conformance

bench: setup  ## Measure, each figure beside its ceiling: make bench ARGS="B1 B6"
	@$(PY) -m benchmarks $(ARGS)

conformance: setup  ## Meet a sender of webhooks with receivers that misbehave: make conformance ARGS=--help
	@$(PY) -m conformance $(ARGS)

chaos: setup  ## Run the fault tests, those that can be longer at their full length: make chaos ARGS="-k outage -s"
	@RETAILOS_TIER=long $(PY) -m pytest -n 0 tests/reliability $(ARGS)

mutants: setup  ## Take rules away from a copy of the program, and see that a test misses each: make mutants ARGS=lease
	@$(PY) -m tests.mutants $(ARGS)

docs: setup  ## Write the generated pages of docs/
	@$(PY) -c 'from retailos.settings import reference; print(reference(), end="")' > docs/settings.md
	@$(PY) -c 'from retailos.observe.page import reference; print(reference(), end="")' > docs/observations.md

migration:  ## Begin the next migration: make migration NAME=add_orders
	@test -n "$(NAME)" || { echo 'Give it a name: make migration NAME=add_orders'; exit 2; }
	@cd src/retailos/database/migrations && last=$$(ls | grep -E '^[0-9]{4}_.*\.sql$$' | tail -n 1 | cut -c 1-4) && \
	  next=$$(printf '%04d' $$(expr $${last:-0} + 1)) && \
	  echo "-- What changes, and why. Where it takes something away: -- The version before: why that goes on." > "$${next}_$(NAME).sql" && echo "src/retailos/database/migrations/$${next}_$(NAME).sql"

lock: setup  ## Renew both locks: make lock ARGS=--upgrade
	@$(PY) -m pip install --quiet --disable-pip-version-check --only-binary :all: uv
	@$(UV) $(ARGS) --output-file requirements.lock
	@$(UV) $(ARGS) --extra dev --constraint requirements.lock --output-file requirements-dev.lock

clean:  ## Remove what can be made again: the environment, caches, results
	@rm -rf $(VENV) build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache benchmarks/results
	@find src tests benchmarks conformance -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
