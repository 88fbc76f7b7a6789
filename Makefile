# Everything a developer types. An ordinary user is enough; nothing is installed outside .venv.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= python3
JOBS ?= 2
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
NODE := tests/wire/node
NODE_READY := $(if $(wildcard $(NODE)/package-lock.json),$(NODE)/node_modules/.ready)
# pictures are drawn into docs/ by whoever wants them new
BENCHMARKS = $(filter-out pictures,$(shell grep -l __main__ bench/*.py | sed 's|bench/||; s|\.py||'))
# tests of no compiled code, of what the compiler made of it, or of the benchmarks' own
UNCHECKED := $(addprefix simulation/test_,baseline processes processes_memory recording) \
	$(addprefix unit/test_,add_a_function cam_kernels cli compile_gate docs frame_work gateway_users \
	gateway_words imports native_code outbox settings slots tidy trajectory_kernels)
PYTEST := $(BIN)/pytest -q -n $(JOBS)

.PHONY: help run test test-long bounds bench lint clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: $(READY) ## Stack cells in real time on the simulator (ARGS="--seconds 30")
	@$(BIN)/foldline run $(ARGS)

test: lint $(NODE_READY) ## Lint, types, import contracts and every test
	@$(BIN)/python -m hal_sim.ethercat.virtual_wire
	$(PYTEST) -m "not long" $(ARGS)
	$(MAKE) --no-print-directory bounds

bounds: $(READY) ## The tests of compiled code again, with bounds checks
	NUMBA_BOUNDSCHECK=1 $(PYTEST) -m "not long" tests/unit tests/simulation \
		$(UNCHECKED:%=--ignore=tests/%.py) $(ARGS)

test-long: lint $(NODE_READY) ## The long campaigns
	$(PYTEST) -m long $(ARGS)

bench: $(READY) ## Every benchmark, one after the other
	@for name in $(BENCHMARKS); do echo "== bench.$$name"; $(BIN)/python -m bench.$$name || exit 1; done

lint: $(READY) ## Style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

clean: ## Remove the environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf $(NODE)/node_modules

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing the locked dependencies"
	@$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(NODE)/node_modules/.ready: $(NODE)/package-lock.json $(READY)
	PATH="$(abspath $(BIN)):$$PATH" npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --silent
	@touch $@
