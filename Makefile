# Everything a developer or a newcomer needs. `make help` lists it.
SHELL := /bin/bash -euo pipefail
PYTHON ?= python3
BIN := .venv/bin
LOCKS := deploy/locks
# As root, Postgres runs as another user, which cannot reach a folder below root's home.
DEMO_DATA ?= $(if $(filter 0,$(shell id -u)),/var/lib/greenroom-demo,$(CURDIR)/.greenroom/demo)

BENCH_ENTITIES ?= 20000
BENCH_FOLDER ?= docs/bench

FUZZ_SECONDS ?= 120
FUZZ_DESCRIPTORS ?= 2000
HOSTILE_EXAMPLES ?= 300
SOAK_MINUTES ?= 60
SOAK_OUT ?= .greenroom/soak

# One test may take longer than the ten minutes after which what hangs is ended elsewhere: 500 kills, a browser's whole visit.
LONG_TESTS := -o faulthandler_timeout=3600

.DEFAULT_GOAL := help
.PHONY: help setup run test check format bench bench-tasks bench-growth bench-report soak faults conformance e2e hostile openapi docs locks clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.dev ## Make .venv with everything for development

run: .venv/.run ## Serve a sample organisation on http://localhost:7007
	@mkdir -p "$(DEMO_DATA)"
	@$(BIN)/python deploy/demo/setup.py "$(DEMO_DATA)/repositories"
	@GREENROOM_DEMO="$(DEMO_DATA)/repositories" GREENROOM_DATA="$(DEMO_DATA)" GREENROOM_SUMMARY=1 \
		$(BIN)/greenroom serve --config deploy/demo/app-config.yaml

test: .venv/.dev ## Run the tests on a real Postgres
	$(BIN)/pytest

check: .venv/.dev ## Lint, check the arrows between the rooms, and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy & mypy=$$!; wrong=0; $(BIN)/pyright || wrong=1; wait $$mypy || wrong=1; exit $$wrong

format: .venv/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.dev ## Measure the catalog's promises, and both parts against upstream (needs Node, GREENROOM_SHARED and wrk; BENCH_ENTITIES=2000 is quick)
	@kept=0; $(BIN)/python -m tests.bench.catalog --entities $(BENCH_ENTITIES) || kept=1; \
		$(BIN)/python -m tests.bench.ratio --entities $(BENCH_ENTITIES) --json $(BENCH_FOLDER)/ratio.json || kept=1; \
		$(BIN)/python -m tests.bench.tasks --json $(BENCH_FOLDER)/tasks.json || kept=1; exit $$kept

bench-tasks: .venv/.dev ## Measure the scaffolder against upstream's (needs Node, GREENROOM_SHARED and wrk)
	$(BIN)/python -m tests.bench.tasks --json $(BENCH_FOLDER)/tasks.json

bench-growth: .venv/.dev ## Measure Greenroom alone at 20 k, 200 k and 1 M entities, by webhook, and with a huge group (an hour; wrk)
	$(BIN)/python -m tests.bench.growth --json $(BENCH_FOLDER)/growth.json

bench-report: .venv/.dev ## Print the tables of the last benches, and put them and their charts into the README
	@$(BIN)/python -m tests.bench.table $(wildcard $(BENCH_FOLDER)/ratio.json $(BENCH_FOLDER)/tasks.json $(BENCH_FOLDER)/growth.json)
	@$(BIN)/python -m tests.bench.chart $(BENCH_FOLDER)/ratio.json docs/bench.svg
	@$(BIN)/python -m tests.bench.chart $(BENCH_FOLDER)/growth.json docs/growth.svg
	@$(BIN)/python -m tests.bench.readme $(BENCH_FOLDER) README.md

soak: .venv/.dev ## An hour of changes under readers: flat memory, flat latency, bounded tables (SOAK_MINUTES, SOAK_OUT)
	$(BIN)/python -m tests.soak.run --minutes $(SOAK_MINUTES) --out $(SOAK_OUT)

faults: .venv/.dev ## Kill, cut, fill, stop the clock: nothing may be lost (half an hour and more)
	GREENROOM_FAULTS=1 $(BIN)/pytest tests/faults -v --durations=0 $(LONG_TESTS)

conformance: .venv/.dev ## Ask a live upstream and Greenroom the same, known and generated (needs Node and GREENROOM_SHARED)
	$(BIN)/python -m tests.conformance.record live
	$(BIN)/python -m tests.conformance.corpus
	$(BIN)/python -m tests.conformance.templating.live
	$(BIN)/python -m tests.conformance.fuzz.run --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m tests.conformance.fuzz.descriptors --count $(FUZZ_DESCRIPTORS)
	GREENROOM_NGINX=1 $(BIN)/pytest tests/conformance/nginx
	$(BIN)/python -m tests.conformance.schemas.live
	$(BIN)/python -m tests.conformance.schemas.patterns
	$(BIN)/python -m tests.conformance.scaffolder_corpus
	$(BIN)/python -m tests.conformance.fuzz.tasks --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m tests.conformance.schemas.templates

e2e: .venv/.dev tests/clients/node_modules ## Drive upstream's client and the stock frontend against Greenroom (needs Node; for the frontend Chromium and GREENROOM_SHARED)
	GREENROOM_E2E=1 $(BIN)/pytest tests/clients tests/e2e $(LONG_TESTS)

hostile: .venv/.dev ## Attack it: all of tests/hostile, with many more inputs made from the served documents
	HOSTILE_EXAMPLES=$(HOSTILE_EXAMPLES) $(BIN)/pytest tests/hostile $(LONG_TESTS)

openapi: .venv/.run ## Print the served OpenAPI document of the catalog
	@$(BIN)/greenroom openapi catalog

docs: .venv/.dev ## Write the reference of the actions anew
	$(BIN)/greenroom template actions --format markdown > docs/actions.md

locks: .venv/bin/uv ## Resolve the dependencies anew
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make locks" -o $(LOCKS)/runtime.txt $(LOCKS)/build.in pyproject.toml
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make locks" --extra otel --group dev -c $(LOCKS)/runtime.txt \
		-o $(LOCKS)/dev.txt $(LOCKS)/build.in pyproject.toml
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make locks" -o $(LOCKS)/uv.txt $(LOCKS)/uv.in

clean: ## Forget the environment and the caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

tests/clients/node_modules: tests/clients/package-lock.json
	@command -v npm >/dev/null || { echo "npm is not installed: what needs it is skipped"; exit 0; }; \
		npm ci --prefix tests/clients --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@

.venv/bin/uv: $(LOCKS)/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Greenroom needs Python 3.11 or later: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r $(LOCKS)/uv.txt
	@touch $@

.venv/.run: .venv/bin/uv $(LOCKS)/runtime.txt pyproject.toml
	$(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode --require-hashes -r $(LOCKS)/runtime.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q greenroom catalog scaffolder plugins # commands are quick from the first one on
	@touch $@

.venv/.dev: .venv/.run $(LOCKS)/dev.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r $(LOCKS)/dev.txt
	@touch $@
