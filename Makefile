# The two commands of the README: each sets itself up on a machine that has only Python 3.11.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test docs setup clean

demo: setup
	$(BIN)/segdoctor demo reports/demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile

docs: setup
	$(BIN)/python -m mkdocs build --strict

setup: $(VENV)/.ready

# TensorFlow is an extra: whoever has a build of their own keeps it. Here there is none yet.
$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[tensorflow]' --group test
	touch $@

clean:
	rm -rf $(VENV) build dist site
