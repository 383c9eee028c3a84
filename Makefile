# `make train` and `make test` do all the set-up on a fresh machine with Python >= 3.10.
PYTHON ?= python3
BIN := .venv/bin
MPICH := .venv-mpich
# per cent of the public symbols
KNOWN_TYPES := 98
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# an editable install that editors and type checkers see, too: a folder in a .pth file
EDITABLE := --config-settings editable_mode=compat --editable
unexport VIRTUAL_ENV  # launch/mpirun.sh would take it before .venv
unexport PYTHONDONTWRITEBYTECODE  # every rank would compile all sources anew: half of its start

.PHONY: train test test-all test-mpich lint docs clean

train: $(BIN)/.train
	launch/mpirun.sh -n 2 examples/digits.py

# The suite with ranks as threads, then what needs ranks on 2 of them under mpirun.
test: $(BIN)/.test
	RANKS=2 tests/run.sh -m "not slow and not oracle"

# And what starts many ranks, kills them, or runs on several hosts; 5 ranks as of two machines.
test-all: test
	RANKS="$(if $(LONG),3 )5@2" tests/run.sh -m "slow and not oracle$(if $(LONG),, and not long)" tests

# Some of what starts ranks, under MPICH: two MPIs in one environment would be mixed up.
test-mpich: $(BIN)/.test $(MPICH)/.test
	tests/mpich.sh $(LONG)

lint: $(BIN)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_stubs.py --check
	$(BIN)/python scripts/namespaces.py --check
	$(BIN)/python -m pytest -q tests/typing
	$(BIN)/python scripts/type_completeness.py --at-least $(KNOWN_TYPES)
	$(BIN)/python scripts/documentation_coverage.py
	test ! -x $(BIN)/hadolint || $(BIN)/hadolint docker/*Dockerfile

# The site in build/site: warnings are errors, links are checked, the API reference is complete.
docs: $(BIN)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	$(BIN)/python -m pytest -q tests/test_site.py tests/test_readme.py

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(BIN)/.train: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet $(EDITABLE) '.[mpi,cpu,examples]'
	touch $@

$(BIN)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet $(EDITABLE) '.[mpi,cpu,examples,test]'
	touch $@

$(MPICH)/.test: pyproject.toml
	$(PYTHON) -m venv $(MPICH)
	$(MPICH)/bin/pip install --quiet $(EDITABLE) '.[cpu,examples,test]' 'mpich>=5.0'
	touch $@

$(BIN)/.lint: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet $(EDITABLE) '.[lint,test]'
	touch $@

$(BIN)/.docs: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet $(EDITABLE) '.[docs,test]'
	touch $@

clean:
	rm -rf .venv $(MPICH) build runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
