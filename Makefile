# Everything happens in .venv, from requirements.lock. uv is used when it is on PATH; otherwise the
# pinned one is installed into .venv first.

PYTHON ?= python3
CONFIG ?=
REPEAT ?= 30
# Each worker imports litellm (3 s, 180 MB): more than a few cost more than they save.
PYTEST_ARGS ?= -n auto --maxprocesses 4

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv || echo $(BIN)/uv)

# An interpreter from elsewhere is never downloaded: the one that was asked for is used or refused.
export UV_PYTHON_DOWNLOADS := never
# Neither tool asks the network for what came with it: prices, and whether there is a newer one.
export LITELLM_LOCAL_MODEL_COST_MAP := True
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

# uv takes the hashes from the constraints, so every target installs its own part of the one lock.
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --require-hashes --constraint requirements.lock \
	--requirement pyproject.toml --all-extras
# No --require-hashes here: a folder has none. What builds it is pinned by the lock all the same.
INSTALL_PROJECT := $(UV) pip install --quiet --python $(BIN)/python --no-deps \
	--build-constraint requirements.lock --editable .

.DELETE_ON_ERROR:
.PHONY: help demo test lint bench faults soak notebooks build audit lock clean
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s  %s\n", $$1, $$2}' Makefile

demo: $(VENV)/installed-demo ## Run the demo; CONFIG=my.yaml takes your own configuration
	$(BIN)/python demo/run.py $(if $(CONFIG),--config $(CONFIG))

test: $(VENV)/installed-test ## Run the tests; PYTEST_ARGS="-k name" runs a part
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/installed-lint ## Check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright

bench: $(VENV)/installed-test ## Run the benchmarks; ONLY="select threads" runs a part
	$(BIN)/python -m benchmarks.run $(ONLY)

faults: $(VENV)/installed-test ## Play every fault REPEAT=30 times; ONLY="8a stream" plays a part
	$(BIN)/python -m tests.faults --repeat $(REPEAT) $(ONLY)

soak: $(VENV)/installed-test ## Run every host under changing faults; MINUTES=10 SEED=1 CALLERS=12
	$(BIN)/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
		$(if $(CALLERS),--callers $(CALLERS))

notebooks: $(VENV)/installed-test ## Run the notebooks, and keep what they show
	$(BIN)/python -m tests.notebooks

build: | $(UV) $(BIN)/python ## Build the source distribution, and the wheel from it, into dist/
	rm -rf dist
	$(UV) build --python $(BIN)/python --build-constraint requirements.lock --out-dir dist

audit: $(VENV)/installed-audit ## Ask the advisory service about every package of the lock
	.ci/audit

lock: | $(UV) $(BIN)/python ## Bring requirements.lock up to pyproject.toml; UPGRADE=1 takes newer releases
	$(UV) pip compile pyproject.toml --universal --python-version 3.11 --all-extras \
		--group demo --group test --group lint --group audit --group tools \
		--generate-hashes --no-emit-index-url --no-emit-find-links --quiet \
		--custom-compile-command "make lock" --output-file requirements.lock $(if $(UPGRADE),--upgrade)

clean: ## Remove .venv, what was built, and the caches
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/installed-demo: pyproject.toml requirements.lock | $(UV) $(BIN)/python
	@echo "installing into $(VENV) ..."
	@$(INSTALL) --group demo
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/installed-test: $(VENV)/installed-demo
	@$(INSTALL) --group test
	@touch $@

$(VENV)/installed-lint: $(VENV)/installed-test
	@$(INSTALL) --group lint
	@touch $@

$(VENV)/installed-audit: $(VENV)/installed-demo
	@$(INSTALL) --group audit
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'capability_router needs Python 3.11 or newer; $(PYTHON) is' \
			"$$($(PYTHON) --version 2>&1). Choose another: make PYTHON=python3.12" >&2; exit 1; }
	$(if $(filter $(BIN)/uv,$(UV)),$(PYTHON) -m venv,$(UV) venv --quiet --python \
		"$$($(PYTHON) -c 'import sys; print(sys.executable)')") $(VENV)

$(BIN)/uv: | $(BIN)/python
	$(PYTHON) -m venv $(VENV)
	awk '/^[^ ]/ {keep = /^uv==/} keep && !/#/' requirements.lock > $(VENV)/uv.txt
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $(VENV)/uv.txt
