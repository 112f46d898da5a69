# The same targets for people and for CI. Everything lives in .venv; nothing else is touched.

PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
OPTIMUM_VENV ?= .venv-optimum
CLIENTS_VENV ?= .venv-clients
FLOORS_VENV ?= .venv-floors
# Two processes of one thread each: on two cores nearly twice as fast as one.
PYTEST = OMP_NUM_THREADS=1 $(1)/bin/python -m pytest -n 2 --dist worksteal
PACKAGES = -p bertcompress -p bertcompress_calibration -p bertcompress_cli

.PHONY: demo setup test test-slow test-optimum test-floors check bench clean

demo: $(VENV)/.demo  ## Fine-tune, prune, quantize, export, check and measure a real BERT
	$(VENV)/bin/bertcompress demo -o .demo

setup: $(VENV)/.dev  ## Everything that working on the project needs

test: $(VENV)/.test  ## The test suite
	$(call PYTEST,$(VENV)) -m "not timing and not slow"
	$(VENV)/bin/python -m pytest -m timing --reruns 2

test-slow: $(VENV)/.test $(CLIENTS_VENV)/.done  ## Matrices and whole runs, each of several seconds
	BERTCOMPRESS_CLIENTS=$(abspath $(CLIENTS_VENV))/bin/python $(call PYTEST,$(VENV)) -m slow

test-optimum: $(OPTIMUM_VENV)/.done  ## The shorter suite: Transformers 4.57 with Optimum
	$(call PYTEST,$(OPTIMUM_VENV)) tests/bert tests/graph tests/passes tests/runtimes tests/tasks \
	  tests/borders/test_model_folders.py

test-floors: $(FLOORS_VENV)/.done  ## A short suite at the lowest versions that pyproject.toml allows
	$(call PYTEST,$(FLOORS_VENV)) -m "not timing and not slow" \
	  -W "ignore:'click.utils:DeprecationWarning" tests/artifacts tests/bert tests/data tests/graph \
	  tests/tasks tests/runtimes/ort tests/hostile tests/test_reading.py

check: $(VENV)/.dev  ## Style, types, layers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy $(PACKAGES)
	$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/.bench  ## The slow proofs: needs real models, see benchmarks/README.md
	PYTHON=$(VENV)/bin/python benchmarks/run.sh

clean:
	rm -rf .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "bertcompress needs Python 3.11 or newer; type: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -e ".[demo]"
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -e ".[test]"
	touch $@

$(VENV)/.bench: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -e ".[test,peers]"
	touch $@ $(VENV)/.test

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -e ".[dev]"
	touch $@ $(VENV)/.test $(VENV)/.demo

$(CLIENTS_VENV)/.done:
	$(PYTHON) -m venv $(CLIENTS_VENV)
	$(CLIENTS_VENV)/bin/python -m pip --disable-pip-version-check --quiet install \
	  "bert-serving-client==1.10.0" "openai>=3" "tritonclient[http]>=2.60"
	touch $@

$(OPTIMUM_VENV)/.done: pyproject.toml
	$(PYTHON) -m venv $(OPTIMUM_VENV)
	$(OPTIMUM_VENV)/bin/python -m pip --disable-pip-version-check --quiet install \
	  -e ".[cpu,train,optimum]" "pytest>=8" "pytest-randomly>=3.15" "pytest-xdist>=3.6" \
	  "hypothesis>=6.100" "scikit-learn>=1.4" "seqeval>=1.2.2"
	touch $@

$(FLOORS_VENV)/.done: pyproject.toml .ci/floors.py
	$(PYTHON) -m venv $(FLOORS_VENV)
	$(PYTHON) .ci/floors.py > $(FLOORS_VENV)/constraints.txt
	$(FLOORS_VENV)/bin/python -m pip --disable-pip-version-check --quiet install \
	  -c $(FLOORS_VENV)/constraints.txt -e ".[cpu,data,train]" "pytest>=8" "pytest-randomly>=3.15" \
	  "pytest-xdist>=3.6" "pytest-rerunfailures>=15" "hypothesis>=6.100" "scikit-learn>=1.4"
	touch $@
