# segpipe: `make repro` and `make test` are all that a fresh machine with Python 3.11, git and make needs.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
# a process a core, each of one thread, whole files of tests to each
PYTEST := OMP_NUM_THREADS=1 python -m pytest --numprocesses logical --maxprocesses 4 --dist loadscope
FAST := $(addprefix tests/, core data masks ledger split evaluate pictures test_architecture.py)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro test test-fast test-slow faults check-real lint forecast pin ui demo use docs lock bench bench-floor bench-duplicates bench-large bench-train bench-losses bench-kills

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## a .venv with everything that requirements.txt pins

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; try make PYTHON=python3.11")'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(VENV)/bin/python -r requirements.txt
	$(VENV)/bin/uv pip install --quiet --no-deps --python $(VENV)/bin/python -e .
	@touch $@

repro: setup ## run the pipeline: only what changed since the last run
	@segpipe check
	dvc repro

test: setup ## all tests but the slow ones
	$(PYTEST)

test-fast: setup ## tests of pure functions: under a minute
	$(PYTEST) $(FAST)

test-slow: setup ## tests with a browser, a cluster, several processes or a fresh environment, and every key of params.yaml
	$(PYTEST) -m slow

faults: setup ## bad input of every kind, each against its expected verdict
	$(PYTEST) tests/faults

check-real: setup ## the pipeline over real photographs, where SEGPIPE_REAL_DATA (../shared/data) is there
	python -m pytest -m real tests/real

lint: setup ## ruff and mypy
	ruff check .
	ruff format --check .
	mypy

forecast: setup ## how long training would take, and what it needs
	segpipe forecast

pin: setup ## today's split kept: every image stays on its side when others are added
	segpipe pin

ui: setup ## MLflow's pages on http://127.0.0.1:5000
	MLFLOW_DISABLE_TELEMETRY=true mlflow ui --backend-store-uri sqlite:///mlflow.db --default-artifact-root ./mlartifacts \
		--no-serve-artifacts --workers 1 --host 127.0.0.1 --port 5000

demo: setup ## draw data/demo anew
	rm -rf data/demo
	segpipe demo data/demo

use: setup ## settings of presets/$(PRESET).yaml into params.yaml, e.g. make use PRESET=camvid
	segpipe use-preset $(PRESET)

docs: setup ## write the pages of docs/ that come from the code: settings, reasons, architecture
	python -m docs.generate

lock: setup ## pin requirements.txt anew from pyproject.toml
	uv pip compile pyproject.toml --extra dev --python-version 3.11 --no-header --no-annotate --no-emit-index-url --upgrade --quiet -o requirements.txt

bench: setup ## drawing against the loop everybody writes, over real annotations
	python bench/raster.py

bench-floor: setup ## validate and rasterize against the floor of their work, on 1,000 and 8,000 pictures and car_damage
	python -m bench.floor

bench-duplicates: setup ## copies of photographs that are found, and different ones that are mistaken for copies
	python -m bench.duplicates

bench-large: setup ## one picture of 10,000 x 10,000 pixels with 20,000 polygons: time and memory
	python -m bench.large

bench-train: setup ## training against its floor and the ordinary way, over this project's data; after make repro
	python -m bench.train

bench-losses: setup ## losses and class weights beside each other, over camvid and car_damage: hours
	python -m bench.losses camvid 12
	python -m bench.losses car_damage 3

bench-kills: setup ## kill a training 20 times, at random moments, and compare its end with one that nobody killed
	python -m bench.kills
