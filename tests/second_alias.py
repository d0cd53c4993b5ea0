"""The suite with the engine on the alias ``engine`` and the host's own tables on ``default``, in two databases.

``ENGINE_ALIAS=engine`` asks for it. Tests and their handlers mean the engine's database where they name none; the
project's own code is left to Django, which takes ``default``, where no table of the engine exists.
"""

import contextlib
import sys
from pathlib import Path
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.db.models import Model

TESTS = Path(__file__).resolve().parent
PUBLISHING = {"outbox", "awards", "shop"}
"""The engine, and the apps that publish in the transaction of their rows."""
BETWEEN = {transaction.__file__, contextlib.__file__}
"""Files of those who only pass a call on."""


class TwoDatabases:
    """Sends whoever publishes to the engine's database, and everything else to the host's."""

    def __init__(self, alias: str = "engine") -> None:
        self.alias = alias

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return self.alias if model._meta.app_label in PUBLISHING else DEFAULT_DB_ALIAS

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (db == self.alias) == (app_label in PUBLISHING)


def let_tests_mean(alias: str) -> None:
    """Have ``connection`` and ``atomic()``, where a test or its handler uses them, be those of the engine."""
    vars(connection)["_alias"] = alias
    of_alias = transaction.get_connection

    def of_caller(using: str | None = None) -> Any:
        return of_alias(using or (alias if _is_a_test(sys._getframe(1)) else DEFAULT_DB_ALIAS))

    transaction.get_connection = of_caller


def _is_a_test(frame: Any) -> bool:
    while frame.f_code.co_filename in BETWEEN:
        frame = frame.f_back
    return Path(frame.f_code.co_filename).is_relative_to(TESTS)
