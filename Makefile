# `make demo` and `make test` do all their own set-up, and may be repeated. `make help` lists the rest.
# python3, or a newer one beside it where that is too old
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11 python3.14; do \
  $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
SOUND := libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils
# several workers share the processors: threads of theirs would only wait for each other
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
# tests start hundreds of Pythons, each of which would compile all that it imports
export PYTHONDONTWRITEBYTECODE :=
MINUTES ?= 10
SOAK ?= soak

.PHONY: help demo test alone quick check lint types contracts kernels docs coverage test-install test-lowest bench soak clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 18

demo: $(VENV)/demo-ready ## tag a clip live, on screen and over OSC to 127.0.0.1:9000, for 32 s; PLAY=1 lets it be heard
	$(BIN)/streamtag live --input demo --osc 127.0.0.1:9000 $(if $(PLAY),--play)

test: $(VENV)/test-ready ## everything: linters, types, contracts, the whole suite
	scripts/system-packages --optional $(SOUND) liblo-tools iproute2 chromium mosquitto mosquitto-clients icecast2
	$(MAKE) --no-print-directory -j 2 lint types contracts kernels
	$(ONE_THREAD) $(BIN)/python -m pytest -q --dist load --tx '3*popen' --tx '2*popen//nice=10' || $(MAKE) --no-print-directory alone
	$(ONE_THREAD) NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -n 2 -m kernels -k "not other_machines" $$(grep -lr --include='test_*.py' mark.kernels tests)

alone: # what failed above, by itself: a test that plays in real time may find no processor free beside two others
	@echo "what failed above once more, alone; what passes now is too easily disturbed, and worth a look"
	$(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none

quick: $(VENV)/test-ready check ## linters, types, contracts, and the tests that need no sound server and no TensorFlow
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n 3 --dist worksteal -m "not slow and not device and not tensorflow"

check: $(VENV)/test-ready ## linters, types, contracts and docstrings
	$(MAKE) --no-print-directory -j 2 lint types contracts

lint: $(VENV)/test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

kernels: $(VENV)/test-ready # what live sessions run: compiled once, instead of by several tests at a time
	for model in MSD_musicnn MSD_vgg; do \
	  $(BIN)/streamtag live --input demo --duration 0.1 --model $$model --format text >/dev/null || exit 1; done

types: $(VENV)/test-ready
	$(BIN)/mypy

contracts: $(VENV)/test-ready
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m numpydoc lint $$(find streamtag -name '*.py')

docs: $(VENV)/docs-ready ## build the documentation site, warnings as errors
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "open build/docs/index.html"

coverage: $(VENV)/test-ready ## what the tests reach (all but those of devices and faults), line by line, in build/coverage
	$(BIN)/python -m pytest -q -m "not device" --ignore tests/faults --cov --cov-report=term:skip-covered --cov-report=html

test-install: $(VENV)/test-ready ## install the wheel without constraints on every Python at hand, and tag five kinds of file
	$(BIN)/python scripts/try_install.py

test-lowest: ## the quick tests with the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip --disable-pip-version-check -q install uv
	$(VENV)-lowest/bin/uv pip install -q --python $(VENV)-lowest/bin/python --resolution lowest-direct -e '.[dev]'
	$(VENV)-lowest/bin/python -m pytest -q -m "not slow and not device and not tensorflow"

bench: $(VENV)/test-ready ## measure, beside the peers
	scripts/system-packages --optional $(SOUND)
	$(BIN)/python -m bench

soak: $(VENV)/test-ready ## the program under random faults, for MINUTES (10); SOAK=soak_inputs: twenty inputs of it
	scripts/system-packages $(SOUND) icecast2
	$(BIN)/python -m bench.$(SOAK) --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

clean: ## remove what was made
	rm -rf $(VENV) $(VENV)-lowest build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "streamtag needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; } # half of one would be taken for a whole

$(VENV)/demo-ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing streamtag into $(VENV) (about a minute the first time)"
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/test-ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing streamtag and what its tests need into $(VENV) (this takes a few minutes the first time)"
	$(PIP) install --no-compile -c constraints.txt -e '.[dev]'
	$(PIP) install --no-compile --no-deps basic-pitch==0.4.0 # for the network that it ships, which a test hears with
	-$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib # on all processors, where pip takes one
	@touch $@ $(VENV)/demo-ready

$(VENV)/docs-ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing what builds the documentation into $(VENV)"
	$(PIP) install -c constraints.txt -e '.[docs]'
	@touch $@
