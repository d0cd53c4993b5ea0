# `make` shows what there is. Everything works in a fresh clone that has Python 3.11; the rest is installed into .venv.
SHELL := /bin/sh
PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin/python
IN_CLONE := $(RUN) -m config.demo.clone
CHECKING := DJANGO_SETTINGS_MODULE=tests.settings EMBEDDED=1 STATE_DIR=.makegood/check

.DEFAULT_GOAL := help
.PHONY: help demo up test check mutants bench

help: ## show this help
	@echo "Makegood: every promise written down is made good. What you can make:"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

demo: $(VENV)/.runtime ## try it: real processes, real draws; DEMO_ARGS="--draws 300 --exit"
	@$(IN_CLONE) demo $(DEMO_ARGS)

up: $(VENV)/.runtime ## run it on the services named by DATABASE_URL and CELERY_BROKER_URL; needs SECRET_KEY
	@$(RUN) manage.py up $(UP_ARGS)

test: $(VENV)/.tests ## run all tests, on PostgreSQL and RabbitMQ where they answer, and embedded; PYTEST_ARGS="-k dispatcher"
	@$(RUN) tests/run.py $(PYTEST_ARGS)

check: $(VENV)/.tests ## lint, format, types, floors, migrations, deployment checks
	@mkdir -p .makegood/check
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(CHECKING) $(RUN) -m mypy
	$(CHECKING) $(VENV)/bin/lint-imports
	$(CHECKING) $(RUN) manage.py makemigrations --check --dry-run
	@echo "manage.py check --deploy --fail-level WARNING, as on real services"
	@SECRET_KEY="$$($(RUN) -c 'import secrets; print(secrets.token_urlsafe(64))')" \
		DATABASE_URL=postgres://nobody@localhost/nothing OUTBOX_PREFIX=check \
		$(RUN) manage.py check --deploy --fail-level WARNING

mutants: $(VENV)/.tests ## break one rule of the engine after another; the tests must notice each (needs the services)
	@$(RUN) -m tests.mutants $(MUTANTS_ARGS)

bench: $(VENV)/.tests ## measure it beside its peers, under 20 minutes (needs the services); BENCH_ARGS="drain latency --quick"
	@$(RUN) -m benchmarks $(BENCH_ARGS)

# The stamps say that .venv holds what the requirements name, so that the second time is quick.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo "Makegood needs Python 3.11 with venv, and '$(PYTHON)' is not that. Install it (Debian: apt-get install" >&2; \
		echo "python3.11 python3.11-venv; macOS: brew install python@3.11), or say where it is: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; }
	@echo "making $(VENV) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.txt $(VENV)/.made
	@echo "installing what Makegood runs on ..." >&2
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt >&2
	@touch $@

$(VENV)/.tests: tests/requirements.txt $(VENV)/.runtime
	@echo "installing what the tests need ..." >&2
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt >&2
	@touch $@
