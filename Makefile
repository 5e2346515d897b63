# `make serve` and `make test` need python3 (3.11 or newer), pip and make; everything else is installed in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DIR ?= data
# Tests that wait for a timeout or an engine leave the cores to others.
WORKERS ?= 4

.PHONY: serve test lint test-unit test-interop docs costs bench-smoke torture torture-cluster lock clean

serve: $(VENV)/installed
	$(BIN)/anys3 serve $(DIR)

test: lint test-unit test-interop

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/audit-dependencies

# The interoperability tests skip, with the reason, the clients that are not on this machine.
test-unit: $(VENV)/installed-dev
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal --ignore tests/interop

test-interop: $(VENV)/installed-dev
	$(BIN)/pytest -q -n $(WORKERS) --dist loadfile tests/interop

docs: $(VENV)/installed-dev
	$(BIN)/python -m anys3.cli.reference > docs/cli.md
	$(BIN)/anys3 spec export spec

# What each check sends, for `anys3 check --plan`.
costs: $(VENV)/installed-dev
	$(BIN)/python -m bench.check_costs

# CPU of small operations beside their budgets (bench/budget.toml) and the parent commit; by hand, before a release.
bench-smoke: $(VENV)/installed-dev
	$(BIN)/python -m bench.smoke

# The long forms of every proof of docs/durability.md and docs/security.md, one after the other; takes hours.
TORTURE := crash power corruption races faults fuzz abuse soak access
torture: $(VENV)/installed-dev
	set -e; for proof in $(TORTURE); do $(BIN)/python -m tests.torture $$proof --long --record; done

# The same of docs/cluster.md, on engines that .ci/install-engines installs; as root, for networks that can be cut.
torture-cluster: $(VENV)/installed-dev
	$(BIN)/python -m tests.torture cluster --long --record

# What releases are built and tested with, by version and hash.
lock: $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --group release --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[tls]'
	touch $@

# Dependency groups need pip 25.1, which a fresh environment of an older Python does not have.
$(VENV)/installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[tls,pytest]' --group dev --group interop
	touch $@ $(VENV)/installed
