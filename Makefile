# Everything runs in .venv, from the locked, hashed requirements.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-19s %s\n", $$1, $$2}'

# The wrong Python is told before anything is made.
define CHECK_PYTHON
command -v $(PYTHON) >/dev/null || \
	{ echo "Python 3.11 is needed: $(PYTHON) is not on the PATH (make PYTHON=/path/to/python3.11 …)" >&2; exit 2; }; \
found=$$($(PYTHON) -c 'import sys; print("Python %d.%d" % sys.version_info[:2])' 2>/dev/null) || found="no Python"; \
[ "$$found" = "Python 3.11" ] || \
	{ echo "Python 3.11 is needed: $(PYTHON) is $$found (make PYTHON=/path/to/python3.11 …)" >&2; exit 2; }
endef

# uv installs a lock in a fraction of pip's time, compiled: else each start of TensorFlow would read its sources
# anew where PYTHONDONTWRITEBYTECODE is set. It is asked at the index that pip is told to use; where it fails, as
# behind something that only pip is told of, pip installs. For pip the lock is a constraint too: else it looks at the
# newest version of what another package asks for with extras, finds no hash of it, and ends.
define INSTALL
index=$$($(PIP) config list | sed -n "s/^.*[.]index-url='\(.*\)'$$/\1/p" | tail -n 1); \
{ [ -x $(BIN)/uv ] && $(BIN)/uv pip install --compile-bytecode --system-certs --python $(BIN)/python \
	$${index:+--default-index "$$index"} --require-hashes -r $(1); } || \
	{ echo "uv cannot be had here: pip installs, which takes minutes"; \
	$(PIP) install --progress-bar on --require-hashes -r $(1) -c $(1); }
endef

PIP := $(BIN)/python -m pip --disable-pip-version-check

# A stamp is as old as the last installation, so a lock that was changed since then is installed.
$(VENV)/runtime.stamp: requirements.lock requirements-uv.lock pyproject.toml
	@$(CHECK_PYTHON)
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
		{ echo "$(PYTHON) -m venv --clear $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	$(PIP) install --only-binary :all: --require-hashes -r requirements-uv.lock || rm -f $(BIN)/uv
	@$(call INSTALL,requirements.lock)
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/test.stamp: requirements-test.lock $(VENV)/runtime.stamp
	@$(call INSTALL,requirements-test.lock)
	@touch $@

env: $(VENV)/runtime.stamp ## make the environment

env-test: $(VENV)/test.stamp ## make the environment with the test tools

deliver: env ## train, judge and promote: the main job
	$(BIN)/python flows/deliver.py

rollback: env ## put the version before back into production
	$(BIN)/python flows/rollback.py

status: env ## say what is in production
	$(BIN)/python -m flows status

start: env ## let this machine serve again what it is meant to, as after a reboot or a stop
	$(BIN)/python -m flows start

stop: env ## stop the servers of this machine
	$(BIN)/python -m flows stop

restart: env ## replace the servers of this machine by new ones, without a gap
	$(BIN)/python -m flows restart

WORKERS ?= 3 # processes that share the tests, file by file; on two cores one of them mostly waits
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test: env-test ## run the tests (minutes)
	$(PYTEST) -m "not slow and not kubernetes and not compose" $(PYTEST_OPTIONS)

test-slow: env-test ## run the slow tests: deliveries that are killed, stopped, overtaken, damaged, sabotaged; Prefect's services; the benchmarks in small
	$(PYTEST) -m slow $(PYTEST_OPTIONS)

BENCHMARKS := quality training_speed serving_speed serving_attacks statistics_speed unchanged_run

benchmarks: env-test ## print the tables of docs/benchmarks.md (half an hour)
	for name in $(BENCHMARKS); do $(BIN)/python tests/benchmarks/$$name.py || exit; done

lint: env-test ## check formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test ## everything that has to be green

format: env-test ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: env ## write docs/settings.md anew
	$(BIN)/python -m flows settings > docs/settings.md.new
	mv docs/settings.md.new docs/settings.md

SERVE_NEEDS := ai-edge-litert httptools numpy orjson starlette uvicorn # what the model server's image holds

COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes

lock: ## resolve the dependencies anew
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv build/lock && build/lock/bin/pip install --only-binary :all: --require-hashes -r requirements-uv.lock
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) --extra test pyproject.toml --constraints requirements.lock --output-file requirements-test.lock
	printf '%s\n' $(SERVE_NEEDS) | $(COMPILE) - --constraints requirements.lock --output-file requirements-serve.lock
	$(COMPILE) --group install --output-file requirements-uv.lock

# The files with the command lines of the model servers that run out of the environment. The words are given
# in such a way that neither grep finds itself.
SERVERS := grep -lzxF -etasks.serving /proc/[0-9]*/cmdline 2>/dev/null | xargs -r grep -lzF '$(CURDIR)/$(BIN)/' 2>/dev/null

clean: ## remove the environment and caches; data, releases and production stay
	@for found in $$($(SERVERS)); do echo "process $$(echo $$found | tr -cd 0-9) is a model server that runs" \
		"out of $(VENV): stop it first (make stop)" >&2; exit 2; done
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './data/*' -not -path './models/*' -prune -exec rm -rf {} +

.PHONY: help env env-test deliver rollback status start stop restart test test-slow benchmarks lint check format docs lock clean

include $(wildcard deployments/targets.mk)
