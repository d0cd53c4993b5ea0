"""``manage.py check``: what is unsafe in the host's settings, each with what to do about it.

What matters only where it is run for real is said under ``check --deploy``. What you have considered and want as it is,
Django's ``SILENCED_SYSTEM_CHECKS`` keeps quiet.
"""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from outbox.checks import celery, consumers, database, queues
from outbox.conf import conf, conf_problems

__all__ = ["check_deployment", "check_queues", "check_settings"]


@register("outbox")
def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """Look at our own settings, the database, the Celery app and the consumers."""
    if problems := conf_problems():
        hint = "Mend it in the dict OUTBOX of your settings; nothing else was looked at."
        return [Error(problem, hint=hint, id="outbox.E007") for problem in problems]
    return [*database.check_database(), *celery.check_celery(), *consumers.check_consumers()]


@register("outbox", deploy=True)
def check_deployment(**_kwargs: Any) -> list[CheckMessage]:
    """Look at what is fine for trying out, but not for running it for real."""
    if conf_problems():
        return []  # said by the other
    return [
        *database.check_deployed_database(),
        *celery.check_deployed_celery(),
        *consumers.check_deployed_consumers(),
    ]


@register(Tags.database)
def check_queues(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """Look in the database, if it may be asked (``check --database``), at what the last rescan met."""
    if conf_problems():
        return []  # said by the others
    return list(queues.check_queues()) if conf().database in (databases or ()) else []
