"""``manage.py check``: what is unsafe in the host's settings, each with what to do about it.

What matters only where it is run for real is said under ``check --deploy``. What you have considered and want as it is,
Django's ``SILENCED_SYSTEM_CHECKS`` keeps quiet.
"""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from outbox.checks import books, celery, consumers, database, halves, queues, redis_server, sessions, sources
from outbox.conf import conf, conf_problems

__all__ = ["check_database", "check_deployment", "check_settings"]


@register("outbox")
def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """Look at our own settings, the database, the Celery app and the consumers."""
    if problems := conf_problems():
        hint = "Mend it in the dict OUTBOX of your settings; nothing else was looked at."
        return [Error(problem, hint=hint, id="outbox.E007") for problem in problems]
    return [
        *database.check_database(),
        *celery.check_celery(),
        *consumers.check_consumers(),
        *sources.check_sources(),
        *books.check_books(),
    ]


@register("outbox", deploy=True)
def check_deployment(**_kwargs: Any) -> list[CheckMessage]:
    """Look at what is fine for trying out, but not for running it for real."""
    if conf_problems():
        return []  # said by the other
    return [
        *database.check_deployed_database(),
        *celery.check_deployed_celery(),
        *consumers.check_deployed_consumers(),
        *redis_server.check_redis(),
    ]


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """Ask the database, if it may be asked (``check --database``), about its sessions and what the last rescan met."""
    if conf_problems() or conf().database not in (databases or ()):
        return []  # said by the others
    return [*sessions.check_sessions(), *queues.check_queues(), *halves.check_halves()]
