"""How a project tells the desk what its messages are about: awards, users, prizes instead of topics and keys."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from outbox import registry, topics
from outbox.admin.seeing import permission_to_see
from outbox.models import Message
from outbox.operate import Person

log = logging.getLogger("outbox.desk")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing worth knowing, with a link if it has a page of its own. Mask here what not every viewer may see."""

    label: str
    value: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """What a message is about: the business row, facts about it, and what has come of it so far."""

    label: str
    url: str = ""
    facts: Sequence[Fact] = ()
    results: Sequence[Fact] = ()


Describer = Callable[[Sequence[Message]], Mapping[int, Description]]

_describers: dict[str, Describer] = {}
_shown: ContextVar[tuple[str | None, Person | None]] = ContextVar("shown", default=(None, None))
"""At which site, and to whom, descriptions are shown."""


def describe(pattern: str) -> Callable[[Describer], Describer]:
    """Make the decorated function describe the messages whose topic matches ``pattern`` (as in ``consumer``).

    It gets a page of messages at once and returns descriptions by message id, so that one query answers for all.
    The messages come without payload; find the business row by ``key``.
    """

    def register(describer: Describer) -> Describer:
        _describers[pattern] = describer
        return describer

    return register


@describe("#.exhausted")
def _describe_ends(messages: Sequence[Message]) -> Mapping[int, Description]:
    """Describe the engine's own messages, by which a project is told what the machine has closed."""
    tellers = {message.pk: registry.get(message.consumer) for message in messages}
    return {
        message.pk: _description_of_end(message.key.partition(".")[0], teller.tells_of)
        for message in messages
        if (teller := tellers[message.pk]) is not None and teller.tells_of
    }


def _description_of_end(id: str, consumer: str) -> Description:
    words = {"id": id, "consumer": consumer}
    url = admin_url("outbox_message_change", id)
    return Description(label=_("Tells of the end of message %(id)s to %(consumer)s") % words, url=url)


def forget_describer(pattern: str) -> None:
    """Take a describer out again; for tests."""
    _describers.pop(pattern, None)


def admin_url(name: str, *args: Any) -> str:
    """Return the address of a page of the admin by its name without the site, as in ``shop_order_change``.

    For describers: it leads to the site at which the description is shown, where a project has several. Empty, so that
    the text is no link, if whoever reads it may not see such rows.
    """
    site, reader = _shown.get()
    if reader is not None and (permission := permission_to_see(name)) and not reader.has_perm(permission):
        return ""
    return reverse(f"admin:{name}", args=args, current_app=site)


def descriptions(messages: Iterable[Message], *, site: str, reader: Person) -> dict[int, Description]:
    """Return what is known about these messages, by id; a message nobody describes is not in it.

    Links lead to the admin of that name, and only to what the reader may see.
    """
    token = _shown.set((site, reader))
    try:
        return _described(messages)
    finally:
        _shown.reset(token)


def _described(messages: Iterable[Message]) -> dict[int, Description]:
    found: dict[int, Description] = {}
    rest = list(messages)
    for pattern, describer in _describers.items():
        ours = [message for message in rest if topics.matches(pattern, message.topic)]
        if not ours:
            continue
        try:
            found.update(describer(ours))
        except Exception:  # a describer is the host's code; its mistake must not take the desk away in an emergency
            log.exception("describing messages of %r failed; they are shown by topic and key", pattern)
    return found
