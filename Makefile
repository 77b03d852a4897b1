# `make demo` and `make test` make their own environment in .venv; nothing needs to be active.
# PIP_ARGS goes to pip, for example the index of PyTorch's CPU builds; ARGS goes to pytest.
# WORKERS is the number of pytest processes; 0 runs the tests in one process.
PYTHON ?= python3
PIP_ARGS ?=
WORKERS ?= auto
SLOW_WORKERS ?= 3
ARGS ?=
BIN := .venv/bin
PYTEST := $(BIN)/pytest -n $(WORKERS)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet $(PIP_ARGS) -c constraints.txt

# pip's own message about an older Python is a conflict between packages.
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
FOUND := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.version_info >= (3, 11))' 2>/dev/null)
ifneq ($(word 2,$(FOUND)),True)
$(error Python 3.11 or newer is needed, this is $(or $(word 1,$(FOUND)),none: $(PYTHON) does not run); give one with PYTHON=python3.13)
endif
endif

.PHONY: help demo test test-slow test-all check docs dist bench zoo clean

help:
	@echo "make demo      install, then show GoogLeNet against AlexNet and the naive modules, and the claims"
	@echo "make test      install what tests need, run all but the slow ones (ARGS=... goes to pytest)"
	@echo "make test-slow only the slow tests: wheels, browsers, simulations, killed processes"
	@echo "make test-all  both"
	@echo "make check     format, lint, types, import contracts, counts, tests (SKIP_TESTS=1 leaves the tests out)"
	@echo "make docs      build the documentation site into site/; warnings are errors"
	@echo "make dist      build the sdist and the wheel into dist/, and check their metadata"
	@echo "make bench     speed as ratios, measured side by side     (MINUTES on two processors; do nothing beside it)"
	@echo "make zoo       every torchvision and timm model against published figures, in .venv-zoo"
	@echo "make clean     remove .venv and caches"

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/core.stamp: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing macscope and torch into .venv (some minutes the first time)" >&2
	$(PIP) -e .
	@touch $@

.venv/dev.stamp: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing macscope, torch and the test tools into .venv (some minutes the first time)" >&2
	$(PIP) -e '.[dev]'
	@touch $@ .venv/core.stamp

demo: .venv/core.stamp
	$(BIN)/analyze --variant googlenet,alexnet,googlenet-naive
	$(BIN)/analyze claims

test: .venv/dev.stamp
	$(PYTEST) -m "not slow" $(ARGS)

# Half of the slow tests wait for processes, so that three run on two processors.
test-slow: .venv/dev.stamp
	$(BIN)/pytest -n $(SLOW_WORKERS) --dist worksteal -m slow $(ARGS)

test-all: .venv/dev.stamp
	$(PYTEST) $(ARGS)

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/analyze check --strict
	$(BIN)/analyze check --self-test --variant nin --time-budget 10  # Noise does not fail it; what breaks does.
ifndef SKIP_TESTS
	$(PYTEST) -m "not slow" $(ARGS)
endif

docs: $(BIN)/python
	$(PIP) -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

dist: $(BIN)/python
	$(PIP) build twine
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

bench: .venv/dev.stamp
	$(BIN)/python -m benchmarks.command_times
	$(BIN)/pytest benchmarks --benchmark-only --benchmark-columns=median,iqr,rounds --benchmark-sort=name $(ARGS)

clean:
	rm -rf .venv dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torchvision must fit torch; where the CPU build of constraints.txt has none, name the pair: ZOO="torch==… torchvision==…"
ZOO ?= torchvision
zoo:
	$(PYTHON) -m venv .venv-zoo
	.venv-zoo/bin/python -m pip --disable-pip-version-check install --quiet $(PIP_ARGS) -e '.[zoo]' $(ZOO)
	.venv-zoo/bin/python -m benchmarks.zoo
