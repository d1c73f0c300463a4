# The menu: `make` prints it. Every target uses the project's own .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo
COURSE ?= course
# The course's network, which is not packaged: make course NETWORK=vgg19 WEIGHTS=FILE
NETWORK ?= vgg16
WEIGHTS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo wheel course site format lint types prose check test \
  test-docs test-slow test-faults engines test-engines test-engines-all test-airflow \
  prism interchange golden docs

help: ## this menu
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

# Only where there is none yet, so `make install PYTHON=python3.12` is said once.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "stylebeam needs Python 3.11 or newer; '$(PYTHON)' is" \
	    "$$($(PYTHON) --version 2>/dev/null || echo 'no Python at all')." \
	    "Name another: make install PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

# The stamp holds the extras already installed, so that a second call is instant.
$(VENV)/.installed: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/.dev-installed: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --editable ".[demo,dev,interchange]"
	@touch $@ $(VENV)/.installed

$(VENV)/.docs-installed: $(VENV)/.dev-installed
	$(BIN)/pip install --quiet --editable ".[demo,dev,docs,interchange]"
	@touch $@

install: $(VENV)/.dev-installed ## .venv with stylebeam and the development tools

demo: $(VENV)/.installed ## one photograph in 25 styles; prints the gallery's path
	$(BIN)/stylebeam demo --output $(DEMO)

# Without build/, where setuptools would find modules of the day before.
wheel: $(VENV)/.dev-installed ## dist/….whl, with networks and the demo's pictures
	rm -rf build/lib dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist

course: $(VENV)/.docs-installed ## every figure of the course on one page; minutes
	$(BIN)/python examples/course.py --output $(COURSE) --network $(NETWORK) \
	  $(if $(WEIGHTS),--weights '$(WEIGHTS)')

site: $(VENV)/.docs-installed ## build/site: docs/ with its notebooks run; minutes
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -d build/doctrees \
	  docs build/site

format: $(VENV)/.dev-installed ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.dev-installed ## style and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(VENV)/.dev-installed ## mypy, strict
	$(BIN)/mypy

prose: $(VENV)/.dev-installed ## spelling, links between pages, forms we do not write
	$(BIN)/codespell
	$(BIN)/python tests/check_prose.py

check: lint types prose ## what pre-commit and CI check

test: $(VENV)/.dev-installed ## the tests, less the slow ones
	$(BIN)/pytest -n auto --dist loadscope -m "not slow and not faults and not engines and not docs"

test-docs: $(VENV)/.docs-installed ## every command of the docs, the page of the course
	$(BIN)/pytest -n auto -m docs

test-slow: $(VENV)/.dev-installed ## the slow tests only
	$(BIN)/pytest -n auto -m "slow and not faults and not engines and not docs"

# Storage that fails and functions that crash on purpose, preloaded into a process.
build/faults.so: tests/faults/storage_shim.c tests/faults/return_hook.c
	@mkdir -p build
	$(CC) -O2 -Wall -shared -fPIC -o $@ $^ -ldl

# Fuzzing by coverage has no wheels for every machine; without it, less is fuzzed.
$(VENV)/.fuzz-installed: $(VENV)/.dev-installed
	-$(BIN)/pip install --quiet --editable ".[demo,dev,fuzz]"
	@touch $@

test-faults: $(VENV)/.fuzz-installed build/faults.so ## crashes, damage, bad storage, fuzz
	$(BIN)/pytest -n auto --dist loadscope tests/faults

# Beam's runner in Go, of the version of the Beam that is installed. The launcher never
# downloads one, as Beam's PrismRunner would.
build/bin/prism: | $(VENV)/.dev-installed
	@mkdir -p build/bin
	GOBIN=$(CURDIR)/build/bin go install \
	  github.com/apache/beam/sdks/v2/go/cmd/prism@v$$($(BIN)/python -c \
	  'import importlib.metadata as m; print(m.version("apache-beam"))')

prism: build/bin/prism ## build/bin/prism, for --runner=PrismRunner; needs Go
	@echo "--runner=PrismRunner --prism_location=$(CURDIR)/build/bin/prism"

# Google Cloud Storage on this machine, for tests.
build/bin/fake-gcs-server:
	@mkdir -p build/bin
	GOBIN=$(CURDIR)/build/bin go install github.com/fsouza/fake-gcs-server@v1.56.1

$(VENV)/.engines-installed: $(VENV)/.dev-installed
	$(BIN)/pip install --quiet --editable ".[demo,dev,gcp,aws,dask,emulators]"
	@touch $@

engines: $(VENV)/.engines-installed build/bin/prism build/bin/fake-gcs-server

# A module is run by one of the two, so that an engine is started once.
test-engines: engines ## the jobs on other engines; minutes
	$(BIN)/pytest -n 2 --dist loadscope tests/engines

test-engines-all: engines ## every job on every engine, and all kills; an hour
	ENGINES=all $(BIN)/pytest -n 2 --dist loadscope tests/engines

# The Java program and the web page of examples/ with what they need, for their tests.
build/java/target/stylize.jar: examples/java/pom.xml $(wildcard examples/java/src/main/java/*)
	@mkdir -p build/java
	cp -r examples/java/. build/java
	mvn --quiet --batch-mode --file build/java package

build/web/node_modules: examples/web/package.json
	@mkdir -p build/web
	cp examples/web/package.json build/web
	npm install --silent --no-audit --no-fund --prefix build/web
	@touch $@

interchange: build/java/target/stylize.jar build/web/node_modules ## what tests of examples/java and examples/web need; with Maven, npm

# Airflow pins what it needs, so it has an environment of its own. Not in CI: minutes.
AIRFLOW := 3.3.2
build/airflow-$(AIRFLOW):
	$(PYTHON) -m venv $@.part
	$@.part/bin/pip install --quiet "apache-airflow==$(AIRFLOW)"
	mv $@.part $@

test-airflow: $(VENV)/.dev-installed build/airflow-$(AIRFLOW) ## a real Airflow runs our DAG
	build/airflow-$(AIRFLOW)/bin/python tests/infra/airflow_run.py $(BIN)/stylebeam

golden: $(VENV)/.dev-installed ## regenerate the golden pictures; prints how far they moved
	$(BIN)/python tests/regenerate_golden.py

docs: $(VENV)/.dev-installed ## rewrite the tables of options in docs/, parameters in infra/
	$(BIN)/python tests/regenerate_docs.py
	$(BIN)/python tests/regenerate_templates.py
