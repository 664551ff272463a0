# make demo | make test | make bench | make check; each sets up what it needs.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
SOURCE ?= synthetic
export SOURCE # by the environment: a password in a URL should stand in no process list
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

.PHONY: help demo test test-full test-packaging test-boot bench bench-counting bench-capacity soak deb archive check format schema lock clean
.DEFAULT_GOAL := help

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 17

demo: $(VENV)/.demo ## count a camera, live: make demo [SOURCE=clip.mp4|rtsp://…|/dev/video0|folder|synthetic]
	@$(BIN)/python -m tools.demo $(ARGS)

test: $(VENV)/.dev system-packages toolchains ## every behaviour, some 20 minutes on two cores
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow and not gpu and not packaging and not boot' $(ARGS)

test-full: $(VENV)/.dev system-packages toolchains ## also the soaks and long crash tables
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not gpu and not packaging and not boot' $(ARGS)

test-packaging: $(VENV)/.dev ## packages in bare systems of Debian, as root; fetches both and the wheels
	@tools/setup/packaging_tools.sh
	@$(BIN)/python -m pytest -m packaging tests/packaging $(ARGS)

test-boot: $(VENV)/.dev ## a whole Debian with the packages, booted, cut off and hung; logs in build/boot
	@tools/setup/packaging_tools.sh qemu-system-x86 qemu-utils mosquitto
	@$(BIN)/python -m pytest -m boot tests/packaging/boot $(ARGS)

bench: $(VENV)/.dev ## measure this machine beside the bare runtimes
	@$(BIN)/python -m tools.bench $(ARGS)

bench-counting: $(VENV)/.dev ## how far counts are from the truth: speed, flicker, occlusion, dropped frames, low rates
	@$(BIN)/python -m tools.counting_bench $(ARGS)

bench-capacity: $(VENV)/.dev ## how many cameras this machine takes, how late it is, what the agent itself costs
	@$(BIN)/python -m tools.capacity_bench $(ARGS)

soak: $(VENV)/.dev ## weeks of counting in minutes, and how memory grew: make soak [MINUTES=5]
	@$(BIN)/python -m tools.soak $(MINUTES) $(ARGS)

deb: $(VENV)/.dev ## Debian packages for boxes, amd64 and arm64, into dist/: make deb [ARGS='--arch arm64']
	@$(BIN)/python -m tools.packages deb $(ARGS)

archive: $(VENV)/.dev ## the agent with install.sh, for boxes without a package repository, into dist/
	@$(BIN)/python -m tools.packages archive $(ARGS)

check: $(VENV)/.dev ## lint and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: $(VENV)/.dev ## put the code into its form
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format .

schema: $(VENV)/.dev ## write docs/schema from the contracts
	@$(BIN)/python -m tools.schema

lock: ## write requirements/*.txt anew (needs uv)
	@tools/setup/lock.sh

clean: ## remove what make made
	rm -rf $(VENV) build dist

.PHONY: system-packages toolchains
system-packages:
	@tools/setup/system_packages.sh

toolchains: $(VENV)/.dev
	@tools/setup/toolchains.sh

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "expected Python 3.10 to 3.13, found none; install one or say make PYTHON=…" >&2; exit 2; }
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "expected a Python that can make environments; on Debian: apt install python3-venv" >&2; exit 2; }

$(VENV)/.demo: requirements/demo.txt | $(BIN)/python
	@test $(VENV)/.dev -nt requirements/demo.txt || { echo "installing requirements/demo.txt"; $(PIP) -r requirements/demo.txt; }
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(BIN)/python
	@echo "installing requirements/dev.txt"
	@$(PIP) -r requirements/dev.txt
	@touch $@
