# make demo     install into .venv and read handwritten digits
# make test     everything that must be green: ruff, mypy, pytest with doctests
# make help     the other targets

.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash

VENV := .venv
PEERS := .venv-bench
BIN := $(VENV)/bin
# The first Python that is new enough. Another one: make demo PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& echo $$python && break; done)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test test-gpu test-stand-in lint format types pytest fuzz docs bench bench-peers kills clean

help:
	@echo 'make demo     train on handwritten digits (installs what it needs into $(VENV))'
	@echo 'make test     lint, types and all tests'
	@echo 'make test-gpu tests and benchmarks on a GPU, with PYTHON=... as it is installed'
	@echo 'make test-stand-in   these tests without a GPU: its kernels are compiled for the processor'
	@echo 'make lint     ruff: rules and format'
	@echo 'make types    mypy'
	@echo 'make pytest   the tests alone'
	@echo 'make fuzz     read 100,000 damaged files (INPUTS=..., SEED=...)'
	@echo 'make format   let ruff format the code'
	@echo 'make docs     write the generated reference anew'
	@echo 'make bench    the benchmarks, beside the peers that are installed (BENCH="--quick step")'
	@echo 'make bench-peers   install the peers into $(PEERS): some gigabytes'
	@echo 'make kills    kill fifty runs and spoil every file operation of one; compare what comes of it'
	@echo 'make clean    remove $(VENV), $(PEERS) and caches'

demo: $(VENV)/.installed
	$(BIN)/mxtrain fit configs/digits_mlp.yaml

test: lint types pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# Installs nothing: CuPy must fit the driver, so the Python is chosen by who has the GPU.
test-gpu: export PYTHONPATH := $(CURDIR)
test-gpu:
	@$(PYTHON) -c 'import sys; from mxtrain import backend; sys.exit(backend.problem("cupy") or 0)'
	$(PYTHON) -m pytest -q -k cupy tests
	$(PYTHON) benchmarks/bench.py gpu

test-stand-in: $(VENV)/.installed-dev
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 \
		$(BIN)/pytest -q -n 2 --cuda-on-host -k cupy tests

# One BLAS thread per worker: more would only wait for each other.
pytest: $(VENV)/.installed-dev
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/pytest -q -n 2

INPUTS ?= 100000
SEED ?= 0
fuzz: $(VENV)/.installed-dev
	$(BIN)/python tests/fuzz/fuzz_run.py --inputs $(INPUTS) --seed $(SEED)

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_reference.py

# With the peers where they are installed: they need gigabytes, so nothing installs them by itself.
bench: $(VENV)/.installed
	$(if $(wildcard $(PEERS)/.installed),$(PEERS),$(VENV))/bin/python benchmarks/bench.py $(BENCH)

bench-peers: $(PEERS)/.installed

$(PEERS)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

kills: $(VENV)/.installed
	$(BIN)/python tests/reliability/kill_runs.py --kills 50
	$(BIN)/python tests/reliability/fault_runs.py

clean:
	rm -rf $(VENV) $(PEERS) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The stamps let pip run again only when what it installs has changed.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo 'Installing mxtrain into $(VENV) ...'
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo 'Installing mxtrain and its development tools into $(VENV) ...'
	@$(INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'mxtrain needs Python 3.11 or newer, and none was found.' \
		'Install one, or name it: make PYTHON=/path/to/python' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'mxtrain needs Python 3.11 or newer; $(PYTHON) is' \
		"$$($(PYTHON) --version 2>&1)." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual" \
		'environment; some systems have it in a package of its own, such as python3-venv.' >&2; \
		exit 1; }
