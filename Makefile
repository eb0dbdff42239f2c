# Two commands: `make demo` and `make test`. Each does all its own set-up, and may be repeated.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: demo test bench soak check clean
MINUTES ?= 10

demo: $(VENV)/demo-ready
	$(BIN)/streamtag live --model MSD_musicnn --input demo --osc 127.0.0.1:9000 --duration 20

test: $(VENV)/test-ready
	scripts/system-packages --optional libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils liblo-tools iproute2
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -m kernels

check: $(VENV)/test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/test-ready
	scripts/system-packages --optional libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils
	$(BIN)/python -m bench

soak: $(VENV)/test-ready
	scripts/system-packages libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils
	$(BIN)/python -m bench.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

clean:
	rm -rf $(VENV) build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is wanted; this is $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo-ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing streamtag into $(VENV) (TensorFlow is large: this takes a few minutes the first time)"
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/test-ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing streamtag and what its tests need into $(VENV) (this takes a few minutes the first time)"
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/demo-ready
