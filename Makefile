# Two commands for everyone: `make demo` and `make test`. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test docs lowest bench setup clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "aftertrace needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/aftertrace compile
	@touch $@

demo: setup
	@$(BIN)/aftertrace run demo --out runs/demo

test: setup
	$(BIN)/ruff format --check src tests benchmarks examples docs/_site
	$(BIN)/ruff check src tests benchmarks examples docs/_site
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

docs: setup
	$(BIN)/python docs/_site/reference.py
	$(BIN)/mkdocs build --strict

# Of numba two versions would overwrite what the other has compiled.
lowest: export NUMBA_CACHE_DIR := $(CURDIR)/.venv-lowest/numba
lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt -e '.[dev]'
	.venv-lowest/bin/aftertrace compile
	OMP_NUM_THREADS=1 .venv-lowest/bin/pytest -n 2 --dist loadfile

bench: setup
	$(BIN)/python benchmarks/trainers.py
	$(BIN)/python benchmarks/whole_command.py
	$(BIN)/python benchmarks/million.py
	$(BIN)/python benchmarks/networks.py
	$(BIN)/python benchmarks/gate.py
	$(BIN)/python benchmarks/remedy.py

clean:
	rm -rf $(VENV) .venv-lowest runs site
