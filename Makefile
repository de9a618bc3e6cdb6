# Needs make and Python 3.11, 3.12 or 3.13; everything else goes into .venv.
#   make demo PYTHON=python3.12 uses another Python than `python3`.

PYTHON ?= python3
# Two processes, a file of tests each; on one core PYTEST_FLAGS='-n 0' is as fast.
PYTEST_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile
TAG := $(shell $(PYTHON) -c 'import sys; print("py%d%d" % sys.version_info[:2])' 2>/dev/null)
PINS := constraints/$(TAG).txt
INSTALL := $(BIN)/python -m pip install --quiet --constraint $(PINS)
DEMO := results/sn2017eaw

.PHONY: help demo test test-all lint bench env pins clean

help:
	@echo 'make demo      fit the dust around SN 2017eaw; figures go to $(DEMO)'
	@echo 'make test      the fast tests'
	@echo 'make test-all  all tests'
	@echo 'make lint      style, import contracts and types'
	@echo 'make bench     the benchmarks'
	@echo 'make env       make .venv with the package and all tools'
	@echo 'make pins      remake the pins of this Python in constraints/'
	@echo 'make clean     remove .venv, caches and results'

demo: $(VENV)/.run-$(TAG)
	$(BIN)/grainlight fit examples/sn2017eaw.ecsv --out $(DEMO) --overwrite
	@echo 'Figures: $(DEMO)/corner.png and $(DEMO)/sed.png'

test: $(VENV)/.test-$(TAG)
	$(PYTEST) -m 'not slow' $(PYTEST_FLAGS)

test-all: $(VENV)/.test-$(TAG)
	$(PYTEST) $(PYTEST_FLAGS)

lint: $(VENV)/.lint-$(TAG)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(VENV)/.test-$(TAG)
	@for program in benchmarks/*.py; do \
	    echo "$$program"; $(BIN)/python "$$program" || exit 1; \
	done

env: $(VENV)/.lint-$(TAG)

pins:
	constraints/make_pins.sh $(PYTHON)

clean:
	rm -rf $(VENV) .cache .hypothesis .import_linter_cache .pytest_cache .ruff_cache
	rm -rf build dist results
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The package alone, with pinned dependencies: what the demo needs.
$(VENV)/.run-$(TAG): pyproject.toml $(wildcard $(PINS))
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	    { echo 'Expected Python 3.11, 3.12 or 3.13 as $(PYTHON);' \
	    "got $$($(PYTHON) --version 2>&1). Name one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	    { echo 'Expected a Python with the module venv; got one without it.' \
	    'On Debian and Ubuntu: apt install python3-venv'; exit 1; }
	@echo 'Making $(VENV) with the pins of $(PINS): some minutes, once.'
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) --upgrade pip
	$(INSTALL) --group build
	$(INSTALL) --no-build-isolation --editable .
	@touch $@

# Also the tools of the tests, and the optional filters.
$(VENV)/.test-$(TAG): $(VENV)/.run-$(TAG)
	$(INSTALL) --no-build-isolation --group test --editable '.[filters]'
	@touch $@

$(VENV)/.lint-$(TAG): $(VENV)/.test-$(TAG)
	$(INSTALL) --group lint
	@touch $@
