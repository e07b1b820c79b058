# labkit: `make lab` and `make test` do all of their own set-up (scripts/bootstrap says what, before it does it).

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*/\1/p' $(MAKEFILE_LIST))

BIN := .venv/bin
SWEEP = $(lastword $(sort $(wildcard runs/*-sweep-*)))
IMAGES ?= images.tar
COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
	--custom-compile-command "make lock"
SCHEMA = $(BIN)/check-jsonschema --builtin-schema vendor
SHELL_SCRIPTS = $(shell grep -rlE '^#!(/bin/sh|/usr/bin/env bash)' scripts .ci images)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

lab: engine ## build the images, start the pair, check it, force a failover, say what it cost
	$(BIN)/labkit lab

test: lint types images compiler compose ## lint, types and all tests, on the real Heartbeat and a real engine
	$(BIN)/pytest -n 2 --dist loadscope

unit: venv compiler ## the tests that need no engine (seconds)
	$(BIN)/pytest tests/unit

lint: venv ## ruff, shellcheck, and the schemas of what GitHub and others read
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/shellcheck $(SHELL_SCRIPTS)
	@$(SCHEMA).github-workflows .github/workflows/*.yml
	@$(SCHEMA).github-actions action.yml
	@$(SCHEMA).github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	@$(SCHEMA).github-issue-config .github/ISSUE_TEMPLATE/config.yml
	@$(SCHEMA).citation-file-format CITATION.cff

types: venv ## mypy --strict
	$(BIN)/mypy

docker-test: engine ## each platform's image against its contract
	$(BIN)/pytest tests/docker

e2e: engine compose ## real pairs, real faults
	$(BIN)/pytest tests/e2e

exercises: engine ## prove that every exercise fails unsolved and passes solved, on real pairs
	$(BIN)/labkit exercise verify --all

bench: engine ## measure the figures that the project holds itself to
	$(BIN)/python scripts/bench.py

soak: engine ## N failovers (200) of FAULT (node-kill) on one pair: does anything grow or drift
	$(BIN)/python scripts/soak.py $(or $(N),200) $(or $(FAULT),node-kill)

benchmark-pairs: engine ## do several pairs measure what one does: PAIRS ("1 10 20") in one run, and what measuring costs
	$(BIN)/python -m scripts.bench_pairs $(PAIRS)

benchmark-class: engine ## measure memory and CPU a student of a class, with N students (3)
	$(BIN)/python -m scripts.bench_class $(or $(N),3)

benchmark-cluster: engine ## node-kill, N trials (100), by one worker and by two with an engine each; what a scheduler bears
	$(BIN)/python -m scripts.bench_cluster scheduler
	$(BIN)/python -m scripts.bench_cluster workers $(or $(N),100)

catalogue: engine ## measure every fault, TRIALS of each, as a sweep under runs/; minutes a fault
	$(BIN)/labkit sweep --keepalive 200ms --deadtime 1 --fault all --trials $(or $(TRIALS),5) || [ $$? -le 2 ]

regression: venv ## hold a sweep (SWEEP, or the newest) to its platform's baseline: has a fault become slower
	$(BIN)/python scripts/regression.py check $(SWEEP)

baseline: venv ## make a sweep (SWEEP, or the newest) its platform's baseline
	$(BIN)/python scripts/regression.py record $(SWEEP)

fuzz: venv ## feed far more damaged input than the tests do to every reader: N examples each (2000), and say how many
	LABKIT_FUZZ=$(or $(N),2000) $(BIN)/pytest -s --timeout=0 tests/unit/test_bad_input.py

compare-heartbeat: engine ## give N configurations (1000) made up from SEED to the real daemon, and compare its verdict
	LABKIT_COMPARE=$(or $(N),1000) LABKIT_SEED=$(or $(SEED),1) \
		$(BIN)/pytest -s --timeout=0 tests/docker/test_parsers_against_heartbeat.py

chaos: engine ## as root: strike labkit, its engine, labs and disk at N points (100) drawn from SEED (1), or at POINT alone
	LABKIT_CHAOS=$(or $(N),100) LABKIT_SEED=$(or $(SEED),1) LABKIT_POINT=$(POINT) \
		$(BIN)/pytest -s --timeout=0 tests/e2e/test_chaos.py

capabilities: engine ## take each capability away from nodes, client and helpers, and say what breaks; WHAT=node:KILL for one
	$(BIN)/python scripts/capabilities.py $(WHAT)

audit: venv ## look all dependencies up among the known vulnerabilities (asks PyPI; fails where it does not answer)
	python3 -m venv .venv/tools
	.venv/tools/bin/pip install -qq pip-audit
	.venv/tools/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.lock

sbom: images ## dist/node-PLATFORM.cdx.json: what a node image holds, as CycloneDX, by debsbom
	python3 -m venv .venv/tools
	.venv/tools/bin/pip install -qq debsbom
	@mkdir -p dist
	@for tag in $$(docker image ls --format '{{.Tag}}' labkit/node); do \
		docker run --rm --network none --label labkit=sbom --entrypoint tar labkit/node:$$tag \
			-C / -cf - var/lib/dpkg var/lib/apt usr/share/doc etc/os-release usr/lib/os-release \
		| .venv/tools/bin/debsbom generate -t cdx -r - --distro-name labkit-node -o - > dist/node-$$tag.cdx.json && \
		echo "dist/node-$$tag.cdx.json" || exit 1; \
	done

images: engine ## build the images
	$(BIN)/labkit build

wheel: venv ## the wheel and the sdist, under dist/
	$(BIN)/hatchling build

docs: venv ## the pages as a site, under site/; every link is checked
	[ -x $(BIN)/mkdocs ] || $(BIN)/python -m pip install -qq --no-deps --require-hashes -r requirements-docs.lock
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

lock: venv ## resolve both locks anew, to the newest versions, for Python 3.10 and later
	$(BIN)/python -m pip install -qq uv
	$(COMPILE) --group dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --group docs --constraints requirements.lock --output-file requirements-docs.lock

kept-images: engine ## the images, from the archive IMAGES if it is there; else they are built, and kept in it
	[ ! -f $(IMAGES) ] || docker load --quiet --input $(IMAGES)
	$(BIN)/labkit build
	[ -f $(IMAGES) ] || docker save --output $(IMAGES) $$($(BIN)/labkit build --json | $(BIN)/python -c \
		'import json, sys; print(*(image["name"] for image in json.load(sys.stdin)))')

ci-matrix: venv ## the platforms, for the matrix of a CI job
	@$(BIN)/python scripts/ci.py matrix

ci-key: ## a key for caches of wheels and images: what both are made from
	@echo "key=$$(find requirements.lock images -type f | LC_ALL=C sort | xargs cat | cksum | tr ' ' -)" \
		>>$${GITHUB_OUTPUT:-/dev/stdout}

ci-summary: venv ## the reports under runs/, for the summary of a CI job
	@$(BIN)/python scripts/ci.py summary

action: engine ## what action.yml does: a failover as FAULT, TRIALS and ASSERT say, measured from where IN is
	cd "$(or $(IN),.)" && "$(CURDIR)/$(BIN)/python" "$(CURDIR)/scripts/ci.py" action

clean: ## remove caches and built packages
	rm -rf dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv and the stored runs too
	rm -rf .venv runs

venv:
	@scripts/bootstrap venv

engine: venv
	@scripts/bootstrap engine

compiler:
	@scripts/bootstrap compiler

compose: engine
	@scripts/bootstrap compose
