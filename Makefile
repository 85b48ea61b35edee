# make demo   a season through Airflow, from nothing to published maps      make up / down   the ops console
# make test   every check that continuous integration runs                  make clean       remove what was made
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# OpenMP threads of two ranks, Spark and Airflow's tasks would fight for the same cores.
export OMP_NUM_THREADS ?= 1

.PHONY: help setup demo up down test lint unit integration e2e realism label-accuracy real-ice label-surroundings map-accuracy changes-found bench-labels lock clean
help:
	@sed -n '1,2s/^# //p' Makefile

setup:
	@scripts/setup

# make demo ARCHIVE=<folder of products or plain scenes> [MODEL=<exported model>]
demo: setup
	@exec $(PY) -m seaice_ops.demo $(if $(ARCHIVE),--archive "$(ARCHIVE)") $(if $(MODEL),--model "$(MODEL)") $(DEMO_ARGS)

up: setup
	@SEAICE_CONFIG=$${SEAICE_CONFIG:-config/demo.yaml} exec .venv/bin/seaice up $(if $(PORT),--port $(PORT))

down:
	@[ ! -x .venv/bin/seaice ] || SEAICE_CONFIG=$${SEAICE_CONFIG:-config/demo.yaml} .venv/bin/seaice down

test: setup lint unit integration e2e

lint: setup
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

unit: setup
	@$(PY) -m pytest tests/unit -n 2

integration: setup
	@scripts/test-packages
	@$(PY) -m pytest tests/integration

e2e: setup
	@$(PY) -m pytest tests/e2e

# Is the simulated ocean honest? Prints the published labeller's faults on it, the best single-band rule, histograms.
realism: setup
	@$(PY) benchmarks/simulator_realism.py --pictures build/realism

# How right labels are on simulated acquisitions that were kept for it, and which targets they meet.
label-accuracy: setup
	@$(PY) benchmarks/label_accuracy.py $(ARGS)

# How right labels are on real pixels whose class a person sees; pictures in build/real-ice.
real-ice: setup
	@$(PY) benchmarks/real_ice.py --sheets build/real-ice $(ARGS)

# Learn anew, from the labeller's own model, what lies around a pixel says (seaice_ops/labels/surroundings.json).
label-surroundings: setup
	@$(PY) -m seaice_ops.labels.reflectance.surroundings_teach

# How right maps are on the truth of their newest acquisition, beside its labels, on simulated seasons.
map-accuracy: setup
	@$(PY) benchmarks/map_accuracy.py $(ARGS)

# How right the dated changes of simulated seasons are: precision, recall, date error.
changes-found: setup
	@$(PY) benchmarks/changes_found.py $(ARGS)

# Labelling speed beside the published pipeline, memory of a whole tile, the paper's workload, Spark.
bench-labels: setup
	@$(PY) benchmarks/labels.py $(ARGS)

# New hashed locks from requirements/*.in (names, versions and hashes only).
lock: setup
	@scripts/lock

clean: down
	@rm -rf .venv .seaice .setup.log build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
