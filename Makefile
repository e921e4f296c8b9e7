# Needs Python 3.11 or newer and make, nothing else: everything goes into a virtual environment in $(VENV).

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
MODEL := smollm2-135m:Q4_1
# Under the Gemma terms of use: https://ai.google.dev/gemma/terms
GEMMA := gemma3-270m:Q4_K_M

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help demo profiles-demo bench-demo usecases-demo judge-demo bad-days-demo test test-full coverage lint format docs benchmarks clean
.DELETE_ON_ERROR:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-local  ## fetch a small model, measure it, print where the report is
	@$(BIN)/llmbench models pull $(MODEL)
	@$(BIN)/llmbench run example_suites/quickstart --results-dir .llmbench

profiles-demo: $(VENV)/.installed-local  ## all six profiles on two small models, in small sizes (some 10 minutes)
	@$(BIN)/llmbench models pull $(MODEL) $(GEMMA)
	@$(BIN)/llmbench run example_suites/hardware --results-dir .llmbench --demo-form

bench-demo: $(VENV)/.installed-local  ## which model and quantization suits this machine: five of them by all six profiles (some 15 minutes)
	@$(BIN)/llmbench models pull $(MODEL) $(GEMMA)
	@for quant in Q4_0 Q5_0 Q8_0; do $(BIN)/llmbench models quantize $(MODEL) $$quant || exit; done
	@cd example_suites/matrix && "$(abspath $(BIN))/llmbench" bench --output-dir "$(CURDIR)/.llmbench" --demo-form=true

usecases-demo: $(VENV)/.installed-usecases  ## ten use cases, asked of two demo models and a small local one (some 5 minutes)
	@$(BIN)/llmbench models pull $(MODEL)
	@$(BIN)/llmbench run example_suites/usecases --results-dir .llmbench

judge-demo: $(VENV)/.installed-local  ## six scripted judges and two small local ones, held against what people said (some 2 minutes)
	@$(BIN)/llmbench models pull $(MODEL) $(GEMMA)
	@$(BIN)/llmbench judge calibrate example_suites/judges --results-dir .llmbench --calibrations .llmbench/judges

bad-days-demo: $(VENV)/.installed-local  ## providers that refuse, break down and break off; what becomes of the run, and its log
	@$(BIN)/llmbench run example_suites/bad_days --results-dir .llmbench
	@$(BIN)/llmbench log --failed --results-dir .llmbench

test: $(VENV)/.installed-dev  ## the tests that take minutes; what needs a missing browser skips and says so
	@$(BIN)/python -m pytest -m "not slow" -n 2 $(PYTEST_ARGS)

test-full: $(VENV)/.installed-dev  ## all tests
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

coverage: $(VENV)/.installed-dev  ## which lines the tests reach, in every process but the supervisor's
	@$(BIN)/python -m pytest -m "not slow" -n 2 --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev  ## formatting, ruff, types, the import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev  ## let ruff format and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.installed-dev  ## the documentation, as a site in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site
	@echo "Documentation: site/index.html"

benchmarks: $(VENV)/.installed-dev  ## our own measurements, one after another
	@for script in benchmarks/[a-z]*.py; do \
		echo "== $$script"; \
		$(BIN)/python "$$script" || exit; \
	done

clean:  ## remove the virtual environment, build results and caches (.llmbench/ and the models stay)
	rm -rf $(VENV) site dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*

# A stamp an extra, so that a second call has nothing to do. [dev] contains [local] and [text].
$(VENV)/.installed-local: pyproject.toml | $(VENV)/.created
	@echo "Installing pytest-llmbench and the embedded llama.cpp engine into $(VENV) (some 450 MB; under a minute the first time)"
	@$(PIP) install --editable '.[local]'
	@touch $@

$(VENV)/.installed-usecases: pyproject.toml | $(VENV)/.created
	@echo "Installing pytest-llmbench, the embedded llama.cpp engine and validators of text into $(VENV) (some 500 MB; under a minute the first time)"
	@$(PIP) install --editable '.[local,text]'
	@touch $@ $(VENV)/.installed-local

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.created
	@echo "Installing pytest-llmbench and its development tools into $(VENV) (some 700 MB; a minute or two the first time)"
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.installed-local $(VENV)/.installed-usecases

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "$(PYTHON) not found: install Python 3.11 or newer, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PYTHON) --version) is too old: Python 3.11 or newer is needed." \
			"Name one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments." \
			"On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@
