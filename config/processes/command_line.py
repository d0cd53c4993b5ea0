"""The door of ``manage.py``: what keeps a command from its work is told in a sentence, with the exit status 1."""

import sys
from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import Error
from django.db.migrations.exceptions import MigrationSchemaMissing
from environs import EnvError

from config.processes.service_checks import why_no_database


def execute(argv: Sequence[str]) -> None:
    """Run a command of ``manage.py``. With ``--traceback`` nothing is put into other words."""
    if "--traceback" in argv:
        execute_from_command_line(list(argv))
        return
    try:
        execute_from_command_line(list(argv))
    except (ImproperlyConfigured, EnvError) as error:
        sys.exit(f"{error}")
    except MigrationSchemaMissing as error:
        first = str(error).partition("\n")[0].rstrip(")")
        sys.exit(f"{first}). Let the user of DATABASE_URL own the database, or give it CREATE on the schema public.")
    except Error:
        # Whatever failed, the reason may be that the database is not there; if it is, the failure is our own.
        if reason := why_no_database():
            sys.exit(reason)
        raise
