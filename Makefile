# Two commands for a newcomer: `make demo` and `make test`. Each target makes its own virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ORACLE := $(VENV)/.oracle-installed
TESTERS ?= 4

.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-models soak fuzz docs format clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Skerry needs Python 3.11 or newer: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

# Flower, which tests compare with, wants older versions than those that are tested: it comes without its dependencies.
$(ORACLE): $(STAMP) tests/oracle.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement tests/oracle.txt
	@touch $(ORACLE)

demo: $(STAMP) ## Train a model with functions, publish it, serve it; writes demo-output/report.html
	$(BIN)/python examples/demo/run.py $(ARGS)

# Where the environment forbids bytecode (many containers do), each of the hundreds of processes that the tests start would
# compile Skerry anew, which doubles the time of a start.
test: export PYTHONDONTWRITEBYTECODE :=
# As workers have it: libraries that calculate with a thread per core in each of several processes mostly wait for each other.
test: export OMP_NUM_THREADS := 1
test: export OPENBLAS_NUM_THREADS := 1
# Two processes more than two cores: a third of the time of the tests is waiting, for servers, timers and other processes.
test: $(ORACLE) ## Run all tests
	$(BIN)/pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(STAMP) ## Lint, types, import layers, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/build.py --check

bench: $(STAMP) ## Run the benchmarks; results go to benchmarks/results (make soak and make fuzz are apart)
	$(BIN)/python -m benchmarks.cold_start
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m benchmarks.objective
	$(BIN)/python -m benchmarks.profile
	$(BIN)/python -m benchmarks.flows
	$(BIN)/python -m benchmarks.state

bench-models: $(STAMP) ## Run the benchmarks of models
	$(BIN)/python -m benchmarks.models.cold_start
	$(BIN)/python -m benchmarks.models.sharing
	$(BIN)/python -m benchmarks.models.rollback
	$(BIN)/python -m benchmarks.models.paper_003
	$(BIN)/python -m benchmarks.models.race --count 1000 --store folder
	$(BIN)/python -m benchmarks.models.race --count 1000 --store s3

soak: $(STAMP) ## Load an engine for half an hour; nothing may fail or grow
	$(BIN)/python -m benchmarks.soak $(ARGS)

fuzz: $(STAMP) ## Feed the parsers damaged bytes for ten minutes; nothing may crash or hang
	$(BIN)/python -m benchmarks.fuzz $(ARGS)
	$(BIN)/python -m benchmarks.flows_fuzz

docs: $(STAMP) ## Write the reference pages from the code
	$(BIN)/python docs/build.py

format: $(STAMP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove what the targets made
	rm -rf $(VENV) demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
