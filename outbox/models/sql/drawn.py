"""What the database draws by itself."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, UUIDField
from django.db.models.sql.compiler import SQLCompiler


class RandomUUID(Func):
    """A UUID of 122 random bits or more, drawn for each row."""

    template = "gen_random_uuid()"
    output_field = UUIDField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """Return the same for SQLite, which keeps a UUID as 32 hex digits."""
        return self.as_sql(compiler, connection, template="lower(hex(randomblob(16)))", **context)
