# One list of commands. `make setup` makes .venv; each target sets up what it needs first.
.DEFAULT_GOAL := help
.PHONY: help setup serve worker test test-tools test-deep lint client bench docs lock clean

BIN := .venv/bin
STAMP := .venv/.set-up
ARGS ?=
PYTHON_TESTS := tests/unit tests/property tests/integration
BROWSER_TESTS := tests/browser
OTHER_TESTS := tests $(PYTHON_TESTS:%=--ignore=%) --ignore=$(BROWSER_TESTS)
SIDE_BY_SIDE := -n 2 --dist worksteal
export HYPOTHESIS_PROFILE ?= ci

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with Onward and its tools in it

$(STAMP): pyproject.toml uv.lock .ci/setup
	@.ci/setup
	@touch $@

test-tools:
	@.ci/setup tests

serve: setup ## Run the server: data in ./var, http://127.0.0.1:8000; options by ARGS="--port 9000"
	@exec $(BIN)/onward serve $(ARGS)

worker: setup ## Run a worker apart from the server
	@exec $(BIN)/onward worker $(ARGS)

test: ## Set up, lint and run all tests that a change must pass
	@rm -f .ci/times
	@.ci/stage "set-up" 4 $(MAKE) --no-print-directory setup test-tools
	@.ci/stage "lint and types" 1 $(MAKE) --no-print-directory lint
	@.ci/stage "python" 6 $(BIN)/pytest $(SIDE_BY_SIDE) $(PYTHON_TESTS)
	@.ci/stage "protocols and clients" 5 $(BIN)/pytest $(SIDE_BY_SIDE) $(OTHER_TESTS)
	@.ci/stage "browser" 4 $(BIN)/pytest $(SIDE_BY_SIDE) $(BROWSER_TESTS)

test-deep: setup test-tools ## The long runs: thousands of histories, hundreds of power cuts (hours)
	HYPOTHESIS_PROFILE=nightly $(BIN)/pytest --timeout 7200 -m "deep or not deep" tests

lint: setup ## Ruff, its formatter, mypy --strict
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

client: ## Build the browser client, and the page into the package (needs Node 20)
	@.ci/setup client
	npm run --prefix client_js --silent build

bench: setup ## Measure Onward beside other servers on this machine; options by ARGS="--only P-1 --quick"
	$(BIN)/python -m benchmarks $(ARGS)

docs: setup ## Write again the pages that are made from the code
	$(BIN)/python docs/generate.py

lock: setup ## Choose versions anew
	$(BIN)/uv lock --upgrade --system-certs

clean: ## Remove what the targets above made, never ./var
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .ci/times
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
