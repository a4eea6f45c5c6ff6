# `make demo` and `make test` need nothing but Python 3.11 or newer and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint bench proto proto-release lock clean

demo: $(VENV)/demo.stamp  ## a simulated city of RTSP cameras, watched by the engine
	$(BIN)/qyran demo

test: $(VENV)/test.stamp  ## every test that can run on this machine, two files at a time
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST)

lint: $(VENV)/test.stamp  ## formatter, linter, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/test.stamp  ## the stage costs of this machine
	$(BIN)/python -m benchmarks pipeline --json

proto: $(VENV)/test.stamp  ## regenerate proto/qyran/v1/*_pb2*
	$(BIN)/python proto/generate.py

proto-release: $(VENV)/test.stamp  ## at a release: store the contract with which later changes must be compatible
	cd proto && $(abspath $(BIN))/buf build -o released.binpb

lock: $(VENV)/test.stamp  ## write the versions of this environment to constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable | sed "s/+cpu$$//" | LC_ALL=C sort -f > constraints.txt

clean:
	find kernels -name "*.nb[ic]" -delete
	rm -rf $(VENV) build dist *.egg-info var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable '.[demo]'
	touch $@

$(VENV)/test.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable '.[test]'
	touch $@ $(VENV)/demo.stamp
