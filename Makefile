# Two commands matter: `make demo` and `make test`. Both set up .venv first, once.

PYTHON ?= $(FOUND_PYTHON)
PRESET ?= tutorial
SIZE ?= paper

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The first interpreter that answers as 3.11 or 3.12; evaluated only when .venv is made.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
FOUND_PYTHON = $(or $(shell for p in python3 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done),python3)

# One level of parallelism. The engine runs one worker thread per core (CAVIAR_KIT_THREADS), and
# abTEM one Dask task per core; a second pool of BLAS, OpenMP or Numba threads inside each of them
# would put cores² threads on the cores and slow everything down. Set any of these to overrule.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export NUMBA_NUM_THREADS ?= 1

# py4DSTEM fails to import where CuPy is installed but finds no CUDA libraries, unless this is set.
export CUPY_PYLOPS ?= 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test lab paper clean

help:
	@echo "make setup   create .venv with locked versions (Python 3.11 or 3.12; choose with PYTHON=...)"
	@echo "make demo    run the notebooks at PRESET=$(PRESET), write results/demo/"
	@echo "make test    ruff, mypy and pytest"
	@echo "make lab     open the notebooks in JupyterLab"
	@echo "make paper   the paper's data sets at SIZE=$(SIZE) (a GPU), or SIZE=reduced (a CPU), in results/paper/"
	@echo "make clean   remove results, caches and build output (not .venv, not data/)"

setup: $(READY)

# Pip resolves the build backend in a process of its own, which only the variable reaches.
$(READY): pyproject.toml constraints.txt
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		$(PYTHON) -c '$(SUPPORTED)' 2>/dev/null || { \
			echo "caviar_kit needs Python 3.11 or 3.12, and '$(PYTHON)' is not one." \
			"Install one, then run: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }; \
		$(PYTHON) -m venv --clear $(VENV); }
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet -e '.[browser,dev,md]'
	@touch $@

demo: setup
	$(BIN)/python -m caviar_kit.demo --preset $(PRESET) --output results/demo

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy caviar_kit
	$(BIN)/python -m pytest

lab: setup
	$(BIN)/jupyter lab notebooks/

# Parts of at most 8 minutes; status 75 means that there is more to do. CASES="si-md hbn" does some of the cases.
PAPER = $(BIN)/python benchmarks/paper_scale.py --size $(SIZE) $(if $(CASES),--cases $(CASES))
paper: setup
	@$(PAPER) --part check
	$(PAPER) --part prepare
	@status=75; while [ $$status = 75 ]; do $(PAPER) --part fit; status=$$?; done; exit $$status
	$(PAPER) --part report

clean:
	rm -rf results build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name $(VENV) -prune -o -name __pycache__ -prune -exec rm -rf {} +
