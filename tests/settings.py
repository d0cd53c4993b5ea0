"""The project's own settings with a small shop beside it, whose consumers the engine's tests deliver to."""

import json
import os
import re
import sys
from datetime import timedelta

os.environ.setdefault("SECRET_KEY", "only for tests")
os.environ.setdefault("OUTBOX_PREFIX", f"test-{os.getpid()}")

# Tests run side by side: each of pytest's workers has queues and files of its own, and so have the processes it starts.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "")
if _worker and os.environ.get("SUITE_WORKER") != _worker:
    os.environ["SUITE_WORKER"] = _worker
    os.environ["OUTBOX_PREFIX"] += f"-{_worker}"
    if "STATE_DIR" in os.environ:
        os.environ["STATE_DIR"] += f"/{_worker}"

from config.settings import *  # noqa: E402, F403  # the environment must be set first
from config.settings import CACHES, DATABASES, INSTALLED_APPS, OUTBOX, STATE_DIR, STORAGES  # noqa: E402

INSTALLED_APPS = [*INSTALLED_APPS, "tests.shop"]
DATABASE_ROUTERS = ["tests.routers.EngineNamesItsDatabase"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
SECURE_SSL_REDIRECT = False

# The tests' own process has no spare sessions in a pool: what is done to the one that it has is what the engine meets.
if "pytest" in sys.modules and DATABASES["default"].get("OPTIONS", {}).get("pool"):
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 0, "max_size": 10}

# The engine's tables are in another database than the host's: see tests/second_alias.py.
if _alias := os.environ.get("ENGINE_ALIAS", ""):
    _engine = DATABASES["default"]
    DATABASES = {
        "default": {**_engine, "NAME": re.sub(r"^((?:test_)*)", r"\1host_", _engine["NAME"], count=1)},
        _alias: _engine,
    }
    DATABASE_ROUTERS.append("tests.second_alias.TwoDatabases")
    OUTBOX["DATABASE"] = _alias

# A page that a test has seen is none that the next one sees.
CACHES = {**CACHES, "pages": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}

# Real processes are told here to wait less: {"LEASE": 3} is a lease of three seconds.
for _name, _seconds in json.loads(os.environ.get("OUTBOX_SECONDS", "{}")).items():
    OUTBOX[_name] = timedelta(seconds=_seconds)

if "SHOP_QUARANTINE_LIMIT" in os.environ:
    OUTBOX["QUARANTINE_LIMIT"] = int(os.environ["SHOP_QUARANTINE_LIMIT"])

# A folder of each process's own: another one may be collecting files at this moment.
STATIC_ROOT = STATE_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)

# Pages are rendered without `collectstatic`, so without its manifest.
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
