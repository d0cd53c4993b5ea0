"""Handlers that import what harms their process, and change the modules of others."""

import builtins
import importlib
import itertools
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import django.db
import pytest
from django.conf import settings

from tests.outbox.delivery.hostile.oracle import ATOMIC, BULK, Case, pairs
from tests.shop import consumers as shop

pytestmark = pytest.mark.services

_numbers = itertools.count()


def imports(text):
    """Return the act that imports a new module of this text."""

    def act(_message):
        folder, name = Path(tempfile.mkdtemp()), f"stranger_{next(_numbers)}"
        (folder / f"{name}.py").write_text(text)
        sys.path.insert(0, str(folder))
        importlib.import_module(name)

    return act


class Refuser:
    """Finds no module, and does not let others look."""

    @staticmethod
    def find_spec(name, *_args):
        raise ImportError(f"{name} is not for you")


def leaves_a_finder_that_refuses(_message):
    sys.meta_path.insert(0, Refuser)


def removes(package):
    def act(_message):
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            del sys.modules[name]

    return act


def reloads(module):
    return lambda _message: importlib.reload(module)


def changes_the_settings(_message):
    settings.OUTBOX = {}
    settings.INSTALLED_APPS = []
    settings.DATABASE_ROUTERS = []
    settings.DATABASES["default"]["NAME"] = "no_such_database"


def puts_a_stranger_in_place_of_connections(_message):
    django.db.connection = django.db.connections = None


def breaks_atomic(_message):
    def refuse(*_args, **_options):
        raise RuntimeError("no more transactions")

    django.db.transaction.atomic = refuse


def breaks_the_cursor(_message):
    def refuse(*_args, **_options):
        raise RuntimeError("no more statements")

    django.db.backends.utils.CursorWrapper.execute = refuse


def changes_builtins(_message):
    builtins.open = builtins.print = builtins.sorted = None


def patches_all(_message):
    monkey = pytest.importorskip("gevent.monkey")
    monkey.patch_all()


SHORT = timedelta(seconds=0.3)

CASES = [
    Case("import", "a module with an error", imports("raise ValueError('at import')"), reason="no_tries_left"),
    Case("import", "a module that exits", imports("import sys; sys.exit(0)"), spoils=True),
    Case(
        "import", "a module that never ends", imports("while True: pass"), ways=[ATOMIC, BULK], timeout=SHORT
    ),  # outside a transaction nothing is broken off
    Case("import", "a finder that refuses is left", leaves_a_finder_that_refuses),
    Case("import", "the engine out of sys.modules", removes("outbox"), spoils=True),
    Case("import", "the consumers once more", reloads(shop)),
    Case("import", "other settings", changes_the_settings, spoils=True),
    Case("import", "no django.db.connection", puts_a_stranger_in_place_of_connections, spoils=True),
    Case("import", "no django.db.transaction.atomic", breaks_atomic, spoils=True),
    Case("import", "cursors that refuse", breaks_the_cursor, spoils=True),
    Case("import", "no built-in functions", changes_builtins, spoils=True),
    Case("import", "gevent's patches", patches_all, spoils=True),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_changes_modules_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
