.DEFAULT_GOAL := help
SHELL := /bin/bash
# Any Python 3.11 or newer; the newest one found by name wins only if plain python3 is too old.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# An environment of infra/stages.py, and more of its fields: make deploy STAGE=dev ARGS="-c rate=500"
STAGE ?= dev
ARGS ?=
CDK := npx --yes aws-cdk@2.1148.1

.PHONY: help setup run test check bench lock audit synth deploy destroy clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock requirements-uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found on the PATH." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@# uv is quick; where it cannot reach the index (a proxy of one's own, a private mirror), pip does the same more slowly.
	@$(BIN)/uv pip sync --quiet --system-certs --python $(BIN)/python --require-hashes requirements.lock requirements-uv.lock 2>/dev/null \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . 2>/dev/null \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(STAMP)

setup: $(STAMP) ## .venv with everything locked, nothing started

run: setup ## the product, alive with demo data; the last line printed is the address to open
	@exec $(BIN)/iops up --demo

test: setup ## the whole test suite, browser included
	@tests/browser/ensure-chromium
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@# Two processes share everything but the browser, which wants the machine for itself; both parts are run whatever the first says.
	@$(BIN)/python -m pytest -n 2 --no-loadscope-reorder -m "not browser"; first=$$?; $(BIN)/python -m pytest -m browser && exit $$first

check: setup ## format, lint, types and the fast tests
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@$(BIN)/python -m pytest -n 2 --no-loadscope-reorder -m "not browser and not aws and not slow"

bench: setup ## the benchmarks, printing figures
	@$(BIN)/python -m tests.benchmarks

lock: ## resolve the dependencies again
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-emit-index-url --upgrade -q -o requirements.lock

audit: setup ## known faults in the locked dependencies
	@$(BIN)/uv tool run pip-audit --require-hashes --disable-pip -r requirements.lock

synth: setup ## templates of a stage into cdk.out, checked; no Docker, no account
	@$(BIN)/python -m infra.app -c stage=$(STAGE) $(ARGS)

deploy: synth ## all stacks of a stage to AWS, with the credentials of this shell
	@mkdir -p build
	@$(CDK) deploy --app cdk.out --all --require-approval never --outputs-file build/outputs-$(STAGE).json

destroy: synth ## take the stacks of a stage away; what it retains stays
	@$(BIN)/python -m infra.emptying cdk.out
	@$(CDK) destroy --app cdk.out --all --force

clean: ## remove what this file made
	rm -rf $(VENV) build *.egg-info cdk.out
