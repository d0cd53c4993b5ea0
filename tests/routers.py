"""A router that nobody may ask about the engine's tables: the engine says which database it means."""

from typing import Any

from django.db.models import Model


class EngineNamesItsDatabase:
    """Refuses a query on the engine's tables that leaves it to Django which database is meant.

    Such a query goes to ``default`` even where ``OUTBOX["DATABASE"]`` is another alias. In this suite they are the same
    database, where nothing else would show it. What hangs on a row that was read or written goes where that row is.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> None:
        self._refuse(model, hints)

    db_for_write = db_for_read

    def _refuse(self, model: type[Model], hints: dict[str, Any]) -> None:
        beside = hints.get("instance")
        if model._meta.app_label == "outbox" and not (beside is not None and beside._state.db):
            raise AssertionError(f"a query on {model._meta.label} does not say which database: {hints}")
