"""A transactional outbox for Django: write a message with your business row, and its consumers act on it.

The names below are the whole public API. They are loaded on first use, because models cannot be imported before the
apps are ready, and ``outbox`` itself is imported while they are being made ready.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outbox.closings import Closing
    from outbox.errors import KeyReused, Reject, Snooze, Superseded, Unavailable
    from outbox.models import Message
    from outbox.policy import Backoff
    from outbox.published import Progress, Withdrawal, hurry, status, withdraw
    from outbox.publishing import Draft, publish, publish_many
    from outbox.registry import consumer, declare_topics
    from outbox.worker.integration import configure

__all__ = [
    "Backoff",
    "Closing",
    "Draft",
    "KeyReused",
    "Message",
    "Progress",
    "Reject",
    "Snooze",
    "Superseded",
    "Unavailable",
    "Withdrawal",
    "configure",
    "consumer",
    "declare_topics",
    "hurry",
    "publish",
    "publish_many",
    "status",
    "withdraw",
]

__version__ = "0.1.0"

_HOME = {
    "Backoff": "policy",
    "Closing": "closings",
    "Draft": "publishing",
    "KeyReused": "errors",
    "Message": "models",
    "Progress": "published",
    "Reject": "errors",
    "Snooze": "errors",
    "Superseded": "errors",
    "Unavailable": "errors",
    "Withdrawal": "published",
    "configure": "worker.integration",
    "consumer": "registry",
    "declare_topics": "registry",
    "hurry": "published",
    "publish": "publishing",
    "publish_many": "publishing",
    "status": "published",
    "withdraw": "published",
}

if not TYPE_CHECKING:  # or every misspelt name would have a type

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'outbox' has no attribute {name!r}")
        _refuse_if_not_installed()
        return getattr(import_module(f"outbox.{_HOME[name]}"), name)


def _refuse_if_not_installed() -> None:
    from django.apps import apps
    from django.core.exceptions import ImproperlyConfigured

    if apps.apps_ready and not apps.is_installed("outbox"):
        raise ImproperlyConfigured('outbox is not in INSTALLED_APPS: add "outbox" there, and run manage.py migrate')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
