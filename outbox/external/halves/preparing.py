"""``prepare``: promise a message before a write that no transaction of ours covers."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connections, transaction
from django.db.models.functions import Now
from django.utils.asyncio import async_unsafe

from outbox.advice import as_timedelta, did_you_mean
from outbox.conf import conf
from outbox.drafts import Key, as_key, check_draft
from outbox.errors import HalfTakenBack, InsideTransaction, InvalidMessage
from outbox.external.halves import check_backs
from outbox.external.halves.settling import (
    IN_A_FUNCTION,
    commit_half,
    draft_of,
    draft_otherwise,
    refuse_if_taken_back,
    take_half_back,
)
from outbox.models import Half, HalfState, SettledBy
from outbox.payloads import encode
from outbox.publishing import in_own_transaction

log = logging.getLogger("outbox.halves")

WITHIN = timedelta(seconds=10)
LONGEST_WITHIN = timedelta(days=1)


class PreparedHalf:
    """A half message in the hands of its producer."""

    def __init__(self, half: Half) -> None:
        self._half = half
        self._commits = self.is_taken_back = False

    def __repr__(self) -> str:
        return f"<{self._half}>"

    @property
    def write_id(self) -> UUID:
        """The id that the write must carry, under a unique key of the other side."""
        return self._half.write_id

    def take_back(self) -> None:
        """Take the half back unasked. Only before you have tried to write: afterwards nobody knows, so raise instead.

        Raises ``HalfTakenBack`` if ``commit`` was called, or somebody else has published it meanwhile.
        """
        if self._commits or not (take_half_back(self._half, by=SettledBy.PRODUCER) or self._was_taken_back()):
            raise HalfTakenBack(f"{self._half} cannot be taken back any more: it is a message, or about to be one")
        self.is_taken_back = True

    def commit(self) -> None:
        """Make it the message in the transaction that the caller has open on the engine's database.

        For a write whose rows are in that database: see ``commit_half``. Without it, leaving the block does so.
        """
        commit_half(self._half.write_id)
        self._commits = True

    def _was_taken_back(self) -> bool:
        return Half.objects.filter(pk=self._half.pk, state=HalfState.TAKEN_BACK).exists()

    def _finish(self) -> None:
        """Commit at the end of the block, unless the producer has settled it by itself."""
        if self.is_taken_back:
            return
        if not self._commits:
            with transaction.atomic(using=conf().database):
                commit_half(self._half.write_id)
        elif Half.objects.filter(pk=self._half.pk).unsettled().exists():
            # The transaction in which it was committed was rolled back, and the caller has caught what did that.
            ask_at_once(self._half)
        else:
            refuse_if_taken_back(self._half)


@contextmanager
def prepare(
    topic: str,
    *,
    key: Key,
    payload: Any,
    check: str,
    within: timedelta = WITHIN,
    otherwise: str = "",
    ordering_key: str = "",
    headers: Mapping[str, Any] | None = None,
    value: Decimal | int | None = None,
    currency: str = "",
) -> Iterator[PreparedHalf]:
    """Promise a message, write elsewhere in the block, and have the message published at its end.

    ::

        with prepare("order.created", key=number, payload={…}, check="orders.committed") as half:
            other_system.create_order(number, write_id=half.write_id)

    The half message is committed at once, and no consumer sees it. Leaving the block makes it the message. After an
    exception, or if the process dies, nobody knows whether the write was done: then the function declared by
    ``@check_back(check)`` is asked. After an exception at once; else not before ``within`` (10 s) is over, which must
    be longer than the block takes.

    ``otherwise`` is the topic of a message that is published if the half is taken back, in the same transaction, with
    the same payload and ``write_id`` as its key: for what has to be given back then. The rest is as in ``publish``.

    Raises ``InsideTransaction`` inside ``atomic()`` on the engine's database, ``InvalidMessage`` and ``UnknownTopic``
    before anything is written; at the end of the block ``HalfTakenBack``, if the check was asked meanwhile and has said
    no, and what ``publish`` raises.
    """
    if headers is not None and not isinstance(headers, Mapping):
        raise InvalidMessage(f"headers {headers!r:.100}: a dict")
    half = _write(
        check,
        within,
        Half(
            topic=topic,
            key=as_key(key),
            payload_json=encode("payload", payload),
            headers_json=encode("headers", dict(headers or {})),
            ordering_key=ordering_key,
            value=value,
            currency=currency,
            otherwise=otherwise,
            check_name=check,
        ),
    )
    prepared = PreparedHalf(half)
    try:
        yield prepared
        prepared._finish()
    except BaseException:
        if not prepared.is_taken_back:
            ask_at_once(half)
        raise


def ask_at_once(half: Half) -> None:
    """Have the check of a half asked now: its producer does not know what became of the write.

    It raises nothing: the producer's own error goes on, and without this the check is asked when its time has come.
    """
    try:
        Half.objects.filter(pk=half.pk, state=HalfState.OPEN, asked_at__isnull=True).update(check_at=Now())
    except DatabaseError as error:
        log.warning("%s is asked about only when its time is over: %s", half, error)


@async_unsafe(f"outbox.prepare() {IN_A_FUNCTION}")
def _write(check: str, within: timedelta, half: Half) -> Half:
    connection = connections[conf().database]
    if in_own_transaction(connection) or (not connection.get_autocommit() and not connection.in_atomic_block):
        raise InsideTransaction(
            f"prepare() was called inside transaction.atomic() on the database {conf().database!r}, so it could not be "
            "committed at once: call it before that block. With ATOMIC_REQUESTS, give the view @non_atomic_requests; "
            "a consumer takes atomic=False"
        )
    if check_backs.get(check) is None:
        names = [entry.name for entry in check_backs.all_checks()]
        raise InvalidMessage(
            f"check {check!r:.150} is not declared{did_you_mean(str(check), names)}; there are {names}. Declare it by "
            "@outbox.check_back in a consumers.py"
        )
    if not isinstance(within, timedelta) or not timedelta(0) < within <= LONGEST_WITHIN:
        raise InvalidMessage(
            f"within {within!r:.100}: a timedelta greater than zero, up to {LONGEST_WITHIN}{as_timedelta(within)}"
        )
    check_draft(draft_of(half))
    if half.otherwise:
        check_draft(draft_otherwise(half))
    half.check_at = Now() + within
    half.save(force_insert=True, using=conf().database)
    return half
