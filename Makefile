# The two commands: `make run` shows the worker at work, `make test` proves it. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := tasks worker tests benchmarks examples
TEST_FOLDERS := $(sort $(dir $(wildcard tests/*/*.py)))
UV_VERSION := 0.13.8
LOCK := .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

# Else every pytest worker rewrites the assertions of every test anew, 5 s of CPU each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test suite quick bench scale cost chaos alerts incident screenshots fuzz languages conformance container lint types imports check audit sbom docs servers lock format clean
.DEFAULT_GOAL := help

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

run: .venv/.runtime ## run everything on this machine (ONCE=1: end when the samples are settled)
	@exec $(BIN)/revoker run $(if $(ONCE),--once)

test: servers check audit tests/node/node_modules/.made tests/openid/.venv/.made tests/canaille/.venv/.made ## lint, types, import contract, known vulnerabilities and all tests
	$(BIN)/pytest -n 5 --maxschedchunk 1 $(PYTEST_ARGS)

suite: ## `test`, as root, in a bare root of another system (ON=trixie; RUN='make quick': that instead)
	.ci/suite $(ON) $(RUN)

quick: lint ## lint, unit tests and providers' tests, in less than a minute: while you work
	$(BIN)/pytest -n 2 --maxschedchunk 8 tests/unit tests/providers $(PYTEST_ARGS)

bench: servers .venv/.dev benchmarks/.venv/.made ## measure the worker beside its peers, < 30 min (QUICK=1: < 5 min)
	PYTHONPATH=tests $(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(BENCH_ARGS)

scale: servers .venv/.dev ## fill a ledger on each database with ROWS=1000000 calls, and time questions, console, recorder and pruning
	PYTHONPATH=tests $(BIN)/python -m benchmarks.scale --rows $(or $(ROWS),1000000) $(SCALE_ARGS)

cost: .venv/.dev ## count anew what a message costs, in function calls, for the test that compares with it
	PYTHONPATH=tests:. $(BIN)/python -m call_cost --record

chaos: servers .venv/.dev ## every fault of the matrix at full size, and the table (ROWS='W1|B.*': some)
	PYTHONPATH=tests:. $(BIN)/python -m chaos $(if $(ROWS),--rows '$(ROWS)') $(CHAOS_ARGS)

alerts: servers .venv/.dev ## each alert on the fault it is for, recorded anew for the tests (ALERTS='.*Held': some)
	PYTHONPATH=tests:. $(BIN)/python -m chaos.alerts $(if $(ALERTS),--alerts '$(ALERTS)') $(ALERTS_ARGS)

incident: servers .venv/.dev ## an incident from the fault to the proof, played and written into docs/incident.md
	PYTHONPATH=tests:. $(BIN)/python -m incident

screenshots: servers .venv/.dev ## the same, and pictures of the console while it is played, into docs/pictures
	PYTHONPATH=tests:. $(BIN)/python -m incident --pictures

fuzz: .venv/.dev ## what strangers send, for 10 minutes (MINUTES=n: another time), and how many cases that was
	$(BIN)/pytest tests/fuzz --timeout=0 --minutes $(or $(MINUTES),10) $(FUZZ_ARGS)

conformance: .venv/.dev tests/canaille/.venv/.made ## ask what others wrote whether the doors keep their standards
	.ci/install-servers conformance
	$(BIN)/pytest tests/conformance $(PYTEST_ARGS)

languages: servers .venv/.dev ## the producers in Java and Go, compiled and run (installs their compilers, 0.7 GB)
	.ci/install-servers languages
	$(BIN)/pytest tests/languages $(PYTEST_ARGS)

container: servers .venv/.dev ## start every process as the image does, in a bare Debian root (as root, with debootstrap)
	PYTHONPATH=tests $(BIN)/python -m containers var/container
	CONTAINER_ROOT=$(CURDIR)/var/container $(BIN)/pytest -q tests/integration/test_containers.py

check: lint types imports ## what needs no server: lint, types, import contract

lint: .venv/.dev ## ruff
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: .venv/.dev ## mypy, strict; each test folder as pytest imports it
	$(BIN)/mypy
	MYPYPATH=tests $(BIN)/mypy tests/conftest.py
	MYPYPATH=tests $(BIN)/mypy --exclude benchmarks/peers benchmarks
	@for folder in $(TEST_FOLDERS); do MYPYPATH=tests:$$folder $(BIN)/mypy $$folder || exit 1; done

imports: .venv/.dev ## the import contract
	$(BIN)/lint-imports

audit: .venv/.dev ## known vulnerabilities of all dependencies (offline: says so; AUDIT_REQUIRED=1: then fails)
	@.ci/audit requirements-otel.lock requirements-dev.lock benchmarks/requirements.lock \
	  tests/openid/requirements.lock tests/canaille/requirements.lock

sbom: .venv/.dev ## what the image is made of, with hashes: revoker.cdx.json (CycloneDX 1.6)
	$(BIN)/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --spec-version 1.6 \
	  --output-reproducible --of JSON --output-file revoker.cdx.json requirements-otel.lock

docs: .venv/.dev ## write the tables of settings, commands, sums and figures into README.md and docs/
	PYTHONPATH=tests $(BIN)/python -m doc_tables

format: .venv/.dev ## let ruff lay out the code
	$(BIN)/ruff format $(SOURCES)

servers: ## install RabbitMQ and PostgreSQL where they are missing
	.ci/install-servers

lock: ## resolve the dependencies anew
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet uv==$(UV_VERSION)
	echo 'setuptools >= 77' | $(LOCK) --upgrade pyproject.toml - -o requirements.lock
	$(LOCK) --upgrade --extra otel --extra scim --constraint requirements.lock pyproject.toml requirements.lock -o requirements-otel.lock
	$(LOCK) --upgrade --extra otel --extra scim --extra ldap --extra dev --constraint requirements.lock pyproject.toml requirements.lock -o requirements-dev.lock
	$(LOCK) --upgrade benchmarks/requirements.in -o benchmarks/requirements.lock
	$(LOCK) --upgrade tests/openid/requirements.in -o tests/openid/requirements.lock
	$(LOCK) --upgrade tests/canaille/requirements.in -o tests/canaille/requirements.lock

clean: ## forget the virtualenv and all caches
	rm -rf revoker.cdx.json .venv .venv-lock benchmarks/.venv tests/node/node_modules tests/openid/.venv tests/canaille/.venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info build
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

# Stamps: a second call finds them newer than what they were made from, and touches no network.
.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "make: Python 3.11 to 3.13 is needed; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv || { echo "make: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@touch $@

.venv/.runtime: .venv/.made requirements.lock pyproject.toml
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	.ci/install-servers headers
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

tests/node/node_modules/.made: .venv/.dev tests/node/package-lock.json
	cd tests/node && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# A second OpenID provider, and a directory with an authorization server: in environments of their own, because they
# bring servers and libraries.
tests/openid/.venv/.made tests/canaille/.venv/.made: tests/%/.venv/.made: .venv/.made tests/%/requirements.lock
	$(PYTHON) -m venv tests/$*/.venv
	tests/$*/.venv/bin/pip install --quiet --require-hashes -r tests/$*/requirements.lock
	@touch $@

# The peers live apart from us: their dependencies are none of ours.
benchmarks/.venv/.made: .venv/.made benchmarks/requirements.lock
	$(PYTHON) -m venv benchmarks/.venv
	benchmarks/.venv/bin/pip install --quiet --require-hashes -r benchmarks/requirements.lock
	@touch $@
