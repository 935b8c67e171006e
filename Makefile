# Set-up, the main job and the checks. Everything runs in .venv, which is made from the lock file when it is missing or older.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup weights plan reproduce export verify check-gpu test test-long faults lint clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
LOCKED := .venv/installed
INSTALLED := .venv/commands
export PATH := $(CURDIR)/$(BIN):$(PATH)
# one thread for each stage unless its settings say more: idle helper threads slow down the stages beside them
export OMP_NUM_THREADS ?= 1

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(INSTALLED) ## the virtual environment

# the project itself, as it lies here: `marval`, `metrics` and `reports` are commands; without network, by setuptools of the lock
$(INSTALLED): $(LOCKED) pyproject.toml
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --offline --no-deps --no-build-isolation --editable . || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(LOCKED): requirements.txt
	@[ "$$(uname -s)" = Linux ] || { echo "marval: error: this is $$(uname -s), and Linux is needed: use the container," \
	  "docker build -t marval . (README, Platforms)" >&2; exit 2; }
	@[ -n "$(PYTHON)" ] || { echo "marval: error: no Python found: install Python 3.11 or 3.12, or give one by PYTHON=..." >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
	  { echo "marval: error: $(PYTHON) is $$("$(PYTHON)" -V 2>&1): 3.11 or 3.12 is needed; give one by PYTHON=..." >&2; exit 2; }
	@git rev-parse --is-inside-work-tree >/dev/null 2>&1 || \
	  { echo "marval: error: $(CURDIR) is not a git checkout, which DVC needs: get the project by git clone" >&2; exit 2; }
	@echo "marval: setting up $(CURDIR)/.venv from requirements.txt"
	"$(PYTHON)" -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.txt)"
	@# uv is several times faster; pip itself where its own configuration (a mirror, a proxy) is needed
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --system-certs --require-hashes requirements.txt || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.txt
	@# once and now: where PYTHONDONTWRITEBYTECODE is set, as in many containers, each import would compile anew (torch 5.5 s, not 3.5)
	$(BIN)/python -m compileall -q -j 0 .venv/lib > .venv/compiled.log 2>&1 || true
	@touch $@

weights: $(INSTALLED) ## fetch and check the published files of a preset: PRESET=imagenet256-base
	@[ -n "$(PRESET)" ] || { echo "marval: error: of which preset? For example: make weights PRESET=imagenet256-base" >&2; exit 2; }
	@python -m marval weights "$(PRESET)"

plan: $(INSTALLED) ## what PRESET=... (or the active ones) would take: what runs, GPU-hours, memory, disk
	@python -m marval plan $(PRESET)

reproduce: $(INSTALLED) ## run the active presets from data to report; PRESET=... activates another first
	@[ -z "$(PRESET)" ] || python -m marval activate $(PRESET)
	@snakemake
	@python -m reports verdicts

export: $(INSTALLED) ## the results of PRESET=... as one folder that stands alone (RO-Crate), in export/PRESET
	@[ -n "$(PRESET)" ] || { echo "marval: error: of which preset? For example: make export PRESET=digits" >&2; exit 2; }
	@python -m reports export "$(PRESET)"

verify: $(INSTALLED) ## check the hashes of a crate and recompute its verdicts: CRATE=export/digits
	@[ -n "$(CRATE)" ] || { echo "marval: error: which crate? For example: make verify CRATE=export/digits" >&2; exit 2; }
	@python -m reports verify "$(CRATE)"

check-gpu: ## what only a GPU can tell, in 9 minutes, without the environment: PYTHON=python3 (see benchmarks/check_gpu.py)
	@"$(PYTHON)" -m benchmarks.check_gpu

test: $(INSTALLED) ## the tests, two at a time, in about 5 minutes
	@# a file's tests stay together, and so do its fixtures (loadgroup of pytest-xdist 3.8 knows no groups under pytest 9.2)
	@python -m pytest -n 2 --dist loadscope -m "not long"

test-long: $(INSTALLED) ## the others: whole runs that are killed, damaged or of another kind, pages in Chromium
	@python -m pytest -n 2 --dist loadscope -m long

faults: $(INSTALLED) ## kills, damaged files and bad input of all kinds, for an hour; prints what has held
	@# two at a time, one test handed out after the other: a round of kills takes minutes, and waits for single processes half of its time;
	@# beside other work it may take long, and what has no end at all ends all the same
	@FAULTS=1 python -m pytest tests/faults -v -n 2 --dist load --maxschedchunk 1 -p no:randomly --log-level=INFO -o timeout=7200 -o faulthandler_timeout=7800

lint: $(INSTALLED) ## format, style and types
	@ruff format --check .
	@snakefmt --check workflow
	@ruff check .
	@mypy

clean: ## remove results, checkpoints, logs and caches (not the virtual environment)
	rm -rf results runs logs .snakemake .dvc/cache .dvc/tmp dvc.lock .pytest_cache .mypy_cache .ruff_cache
