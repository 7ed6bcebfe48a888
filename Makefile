# `make repro` and `make test` install what they need. A fresh machine needs only Python 3.11 or newer, git and make.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
# one process per core with one thread each; a process gets whole test files
PYTEST := OMP_NUM_THREADS=1 python -m pytest --numprocesses logical --maxprocesses 4 --dist loadscope
FAST := $(addprefix tests/, core data masks ledger split evaluate pictures test_architecture.py)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro test test-fast test-slow faults check-real lint forecast pin ui demo use docs lock bench bench-floor bench-duplicates bench-large bench-train bench-losses bench-kills

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv and install requirements.txt

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; try make PYTHON=python3.11")'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(VENV)/bin/python -r requirements.txt
	$(VENV)/bin/uv pip install --quiet --no-deps --python $(VENV)/bin/python -e .
	@touch $@

repro: setup ## run the pipeline; stages without changes are skipped
	@segpipe check
	dvc repro

test: setup ## run all tests except the slow ones
	$(PYTEST)

test-fast: setup ## run the tests of pure functions; takes less than a minute
	$(PYTEST) $(FAST)

test-slow: setup ## run the slow tests: browser, cluster, several processes, fresh environment, every key of params.yaml
	$(PYTEST) -m slow

faults: setup ## test broken input of many kinds
	$(PYTEST) tests/faults

check-real: setup ## test the pipeline on real photos, if SEGPIPE_REAL_DATA (default ../shared/data) exists
	python -m pytest -m real tests/real

lint: setup ## run ruff and mypy
	ruff check .
	ruff format --check .
	mypy

forecast: setup ## measure a few training steps; report time and memory of the training
	segpipe forecast

pin: setup ## pin the current split: images keep it when others are added
	segpipe pin

ui: setup ## start MLflow on http://127.0.0.1:5000
	MLFLOW_DISABLE_TELEMETRY=true mlflow ui --backend-store-uri sqlite:///mlflow.db --default-artifact-root ./mlartifacts \
		--no-serve-artifacts --workers 1 --host 127.0.0.1 --port 5000

demo: setup ## draw data/demo again
	rm -rf data/demo
	segpipe demo data/demo

use: setup ## write presets/$(PRESET).yaml into params.yaml: make use PRESET=camvid
	segpipe use-preset $(PRESET)

docs: setup ## write docs/settings.md, reasons.md and architecture.md from the code
	python -m docs.generate

lock: setup ## update requirements.txt from pyproject.toml
	uv pip compile pyproject.toml --extra dev --python-version 3.11 --no-header --no-annotate --no-emit-index-url --upgrade --quiet -o requirements.txt

bench: setup ## compare drawing with the usual loop, on real annotations
	python bench/raster.py

bench-floor: setup ## compare validate and rasterize with the work that cannot be avoided
	python -m bench.floor

bench-duplicates: setup ## count copies of photos that are found, and photos mistaken for copies
	python -m bench.duplicates

bench-large: setup ## measure time and memory for one image of 10,000 x 10,000 pixels
	python -m bench.large

bench-train: setup ## compare training with its floor and a usual script; after make repro
	python -m bench.train

bench-losses: setup ## compare losses and class weights on camvid and car_damage; takes hours
	python -m bench.losses camvid 12
	python -m bench.losses car_damage 3

bench-kills: setup ## kill trainings 20 times at random moments and compare their results
	python -m bench.kills
