# labkit: `make lab` and `make test` do all of their own set-up (scripts/bootstrap says what, before it does it).

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help lab test unit lint types docker-test e2e exercises bench fuzz compare-heartbeat audit sbom images wheel lock clean distclean \
	venv engine compose

BIN := .venv/bin
SHELL_SCRIPTS = $(shell grep -rlE '^#!(/bin/sh|/usr/bin/env bash)' scripts .ci images)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

lab: engine ## build the images, start the pair, check it, force a failover, say what it cost
	$(BIN)/labkit lab

test: lint types engine compose ## lint, types and all tests, on the real Heartbeat and a real engine
	$(BIN)/pytest

unit: venv ## the tests that need no engine (seconds)
	$(BIN)/pytest tests/unit

lint: venv ## ruff and shellcheck
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/shellcheck $(SHELL_SCRIPTS)

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

fuzz: venv ## feed far more damaged input than the tests do to every reader: N examples each (2000), and say how many
	LABKIT_FUZZ=$(or $(N),2000) $(BIN)/pytest -s --timeout=0 tests/unit/test_bad_input.py

compare-heartbeat: engine ## give N configurations (1000) made up from SEED to the real daemon, and compare its verdict
	LABKIT_COMPARE=$(or $(N),1000) LABKIT_SEED=$(or $(SEED),1) \
		$(BIN)/pytest -s --timeout=0 tests/docker/test_parsers_against_heartbeat.py

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

lock: venv ## resolve requirements.lock anew, to the newest versions, for Python 3.10 and later
	$(BIN)/python -m pip install -qq uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes --group dev \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

clean: ## remove caches and built packages
	rm -rf dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv and the stored runs too
	rm -rf .venv runs

venv:
	@scripts/bootstrap venv

engine: venv
	@scripts/bootstrap engine

compose: engine
	@scripts/bootstrap compose
