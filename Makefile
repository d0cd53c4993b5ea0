# `make` shows what there is. Everything works in a fresh clone that has Python 3.11 to 3.14; the rest is installed into .venv.
SHELL := /bin/sh
# The first that can make virtualenvs: a name may be missing, or a shim that leads nowhere.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14; do \
	$$python -c 'import ensurepip, sqlite3' >/dev/null 2>&1 && { echo $$python; exit; }; done; echo python3.11)
VENV := .venv
RUN := $(VENV)/bin/python
IN_CLONE := $(RUN) -m config.demo.clone
TEMPLATES := outbox/templates templates
STATIC := outbox/static awards/static
STYLED = $(shell find $(STATIC) -name '*.css' -o -name '*.js')
DENO := DENO_DIR=.makegood/deno DENO_NO_UPDATE_CHECK=1 $(VENV)/bin/deno
PAGES := .makegood/docs
CHECKING := DJANGO_SETTINGS_MODULE=tests.settings EMBEDDED=1 STATE_DIR=.makegood/check

.DEFAULT_GOAL := help
.PHONY: help demo up test check lint templates styles types floors migrations deployment layout measure mutants lane lanes settings pictures docs storm trials night bench

help: ## show this help
	@echo "Makegood: every promise written down is made good. What you can make:"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

demo: $(VENV)/.runtime ## try it: real processes, real draws; DEMO_ARGS="--draws 300 --exit"
	@$(IN_CLONE) demo $(DEMO_ARGS)

up: $(VENV)/.runtime ## run it on the services named by DATABASE_URL and CELERY_BROKER_URL; needs SECRET_KEY
	@$(RUN) manage.py up $(UP_ARGS)

test: $(VENV)/.tests ## run all tests, on PostgreSQL and RabbitMQ where they answer, and embedded; PYTEST_ARGS="-k dispatcher"
	@$(RUN) tests/run.py $(PYTEST_ARGS)

check: lint templates styles types floors migrations deployment ## everything below, up to deployment

lint: $(VENV)/.tests ## Python: ruff's rules and layout
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

templates: $(VENV)/.tests ## HTML: djhtml's layout, djlint's rules
	$(VENV)/bin/djhtml --check --tabwidth 2 $(TEMPLATES)
	$(VENV)/bin/djlint --lint --quiet --rules .ci/djlint_rules.yaml $(TEMPLATES)

styles: $(VENV)/.tests ## CSS and JavaScript: deno's rules and layout, and what no browser complains about
	$(DENO) lint --quiet --config .ci/deno.json $(STATIC)
	$(DENO) fmt --quiet --config .ci/deno.json --check $(STYLED)
	$(RUN) .ci/stylesheets.py

types: $(VENV)/.tests ## mypy
	@mkdir -p .makegood/check
	$(CHECKING) $(RUN) -m mypy

floors: $(VENV)/.tests ## which room may import which
	@mkdir -p .makegood/check
	$(CHECKING) $(VENV)/bin/lint-imports

migrations: $(VENV)/.tests ## no model has changed without one
	@mkdir -p .makegood/check
	$(CHECKING) $(RUN) manage.py makemigrations --check --dry-run

deployment: $(VENV)/.tests ## manage.py check --deploy, as on real services
	@echo "manage.py check --deploy --fail-level WARNING, as on real services"
	@SECRET_KEY="$$($(RUN) -c 'import secrets; print(secrets.token_urlsafe(64))')" \
		DATABASE_URL=postgres://nobody@localhost/nothing OUTBOX_PREFIX=check \
		$(RUN) manage.py check --deploy --fail-level WARNING

layout: $(VENV)/.tests ## lay everything out as check wants it
	$(RUN) -m ruff check --fix-only --select I .
	$(RUN) -m ruff format .
	$(VENV)/bin/djhtml --tabwidth 2 $(TEMPLATES)
	$(DENO) fmt --quiet --config .ci/deno.json $(STYLED)

measure: $(VENV)/.tests ## sizes, names with several meanings, rooms, floors; MEASURE_ARGS="--json"
	@$(RUN) .ci/measure.py $(MEASURE_ARGS)

mutants: $(VENV)/.tests ## break one rule of the engine and the awards after another; the tests must notice each (needs the services)
	@$(RUN) -m tests.mutants $(MUTANTS_ARGS)

lane: $(VENV)/.tests ## the engine's tests on another Python, driver, Django, Celery; LANE="--python 3.13 --driver psycopg3"
	@$(RUN) .ci/lane.py $(LANE)

lanes: $(VENV)/.tests ## a table of lanes, one after another, into docs/lanes.json; LANES="--tree DIR --only 3.12"
	@$(RUN) .ci/lanes.py $(LANES)

settings: $(VENV)/.tests ## write the manual's page of settings from outbox/conf.py
	@$(RUN) .ci/settings_page.py

pictures: $(VENV)/.tests ## photograph the desk for the manual, in a browser (needs the services); look before you commit
	@DATABASE_URL="$${DATABASE_URL:-postgres://postgres@127.0.0.1:5432/test}" OUTBOX_PREFIX=pictures \
		CELERY_BROKER_URL="$${CELERY_BROKER_URL:-amqp://guest:guest@127.0.0.1:5672//}" \
		$(RUN) -m pytest -q tests/awards/photographs.py

docs: $(PAGES)/.made ## the manual as a site in .makegood/site; a link that leads nowhere is an error
	@NO_MKDOCS_2_WARNING=1 $(PAGES)/bin/mkdocs build --quiet --strict -f docs/mkdocs.yml

storm: $(VENV)/.tests ## 15 minutes of random faults and misbehaving handlers; STORM_ARGS="--minutes 3 --seed 7" (needs the services)
	@$(RUN) -m tests.storm $(STORM_ARGS)

trials: $(VENV)/.tests ## kills and rates in great numbers, counted at the vendor; TRIALS_ARGS="ends rate once --times 20" (needs the services)
	@$(RUN) -m tests.trials $(TRIALS_ARGS)

night: $(VENV)/.tests ## a million messages, 100,000 of them failed, and one person in a real browser: about half an hour (needs the services)
	@NIGHT=60000,39960,40,900000 $(RUN) tests/run.py -s tests/system/browser/test_one_night.py

bench: $(VENV)/.tests ## measure it beside its peers, under 20 minutes (needs the services); BENCH_ARGS="drain latency --quick"
	@$(RUN) -m benchmarks $(BENCH_ARGS)

# The stamps say that .venv holds what the requirements name, so that the second time is quick.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys, ensurepip, sqlite3; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null || { \
		echo "Makegood needs Python 3.11 to 3.14 with venv, and '$(PYTHON)' is not that. Install it (Debian: apt-get" >&2; \
		echo "install python3 python3-venv; macOS: brew install python), or say where it is: make PYTHON=/path/to/python3" >&2; \
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

# The manual's own, so that nothing of it comes into what Makegood runs on.
$(PAGES)/.made: docs/requirements.txt
	@$(PYTHON) -m venv $(PAGES)
	@$(PAGES)/bin/pip install --quiet --disable-pip-version-check -r docs/requirements.txt >&2
	@touch $@
