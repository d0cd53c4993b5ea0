"""A transactional outbox for Django: write a message with your business row, and its consumers act on it.

The names below are the whole public API. They are loaded on first use, because models cannot be imported before the
apps are ready, and ``outbox`` itself is imported while they are being made ready.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outbox.books.declaring import Book, book
    from outbox.closings import Closing
    from outbox.declaring import consumer
    from outbox.drafts import Draft
    from outbox.errors import HalfTakenBack, KeyReused, MayHaveHappened, Reject, Snooze, Superseded, Unavailable
    from outbox.external.forwarding import forward
    from outbox.external.halves.check_backs import check_back
    from outbox.external.halves.preparing import prepare
    from outbox.external.halves.settling import commit_half, take_back_half
    from outbox.models import Message
    from outbox.policy import Backoff
    from outbox.published import Progress, Withdrawal, hurry, status, withdraw
    from outbox.publishing import publish, publish_many
    from outbox.registry import declare_topics
    from outbox.sources import Incoming, receive
    from outbox.worker.integration import configure

__all__ = [
    "Backoff",
    "Book",
    "Closing",
    "Draft",
    "HalfTakenBack",
    "Incoming",
    "KeyReused",
    "MayHaveHappened",
    "Message",
    "Progress",
    "Reject",
    "Snooze",
    "Superseded",
    "Unavailable",
    "Withdrawal",
    "book",
    "check_back",
    "commit_half",
    "configure",
    "consumer",
    "declare_topics",
    "forward",
    "hurry",
    "prepare",
    "publish",
    "publish_many",
    "receive",
    "status",
    "take_back_half",
    "withdraw",
]

__version__ = "0.1.0"

_HOME = {
    "Backoff": "policy",
    "Book": "books.declaring",
    "Closing": "closings",
    "Draft": "drafts",
    "HalfTakenBack": "errors",
    "Incoming": "sources",
    "KeyReused": "errors",
    "MayHaveHappened": "errors",
    "Message": "models",
    "Progress": "published",
    "Reject": "errors",
    "Snooze": "errors",
    "Superseded": "errors",
    "Unavailable": "errors",
    "Withdrawal": "published",
    "check_back": "external.halves.check_backs",
    "commit_half": "external.halves.settling",
    "book": "books.declaring",
    "configure": "worker.integration",
    "consumer": "declaring",
    "declare_topics": "registry",
    "forward": "external.forwarding",
    "hurry": "published",
    "prepare": "external.halves.preparing",
    "publish": "publishing",
    "publish_many": "publishing",
    "receive": "sources",
    "status": "published",
    "take_back_half": "external.halves.settling",
    "withdraw": "published",
}

if not TYPE_CHECKING:  # or every misspelt name would have a type

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'outbox' has no attribute {name!r}")
        import_module("outbox.advice").refuse_if_not_installed()
        return getattr(import_module(f"outbox.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
