"""The two ends of a half message, each by compare-and-set in one transaction with what follows from it.

Whoever is faster, the producer, the check or a person, decides; the others change nothing.
"""

from dataclasses import replace
from uuid import UUID

from django.db import connections, transaction
from django.utils.asyncio import async_unsafe

from outbox.conf import conf
from outbox.drafts import Draft
from outbox.errors import HalfTakenBack, OutsideTransaction
from outbox.models import Half, HalfState, SettledBy
from outbox.publishing import in_own_transaction, publish_many

IN_A_FUNCTION = "cannot be used in async code: call it in a plain function, by asgiref.sync.sync_to_async"


def draft_of(half: Half) -> Draft:
    """Return the message that the half becomes."""
    return Draft(
        topic=half.topic,
        key=half.key,
        payload=half.payload,
        ordering_key=half.ordering_key,
        headers=half.headers,
        value=half.value,
        currency=half.currency,
    )


def draft_otherwise(half: Half) -> Draft:
    """Return the message that follows if the half is taken back: about this write alone, so its key is the write's."""
    return replace(draft_of(half), topic=half.otherwise, key=half.write_id, ordering_key="")


def publish_half(half: Half, *, by: SettledBy) -> bool:
    """Make the half the message; False if it was settled before. In one transaction, the caller's if there is one."""
    with transaction.atomic(using=conf().database):
        if not Half.objects.filter(pk=half.pk).settle(HalfState.PUBLISHED, by=by):
            return False
        publish_many([draft_of(half)])
        return True


def take_half_back(half: Half, *, by: SettledBy) -> bool:
    """Take the half back, and publish what is to follow from that; False if it was settled before."""
    with transaction.atomic(using=conf().database):
        if not Half.objects.filter(pk=half.pk).settle(HalfState.TAKEN_BACK, by=by):
            return False
        publish_otherwise(half)
        return True


def publish_otherwise(half: Half) -> None:
    """Publish what is to follow from taking the half back, if the producer wanted that."""
    if half.otherwise:
        publish_many([draft_otherwise(half)])


@async_unsafe(f"outbox.commit_half() and the transaction it needs {IN_A_FUNCTION}")
def commit_half(write_id: UUID | str) -> None:
    """Make a half message the message together with the caller's own rows, by compare-and-set.

    Call it inside ``transaction.atomic()`` on the engine's database, beside the rows that the write consists of. Either
    all of it is committed, or the half is as it was. The check may then say False without more ado: once the half is
    taken back, that transaction cannot be committed any more.

    Nothing happens if it is published already. Raises ``OutsideTransaction``, and ``HalfTakenBack`` if it was taken
    back or is not there: let that pass, so that the transaction is rolled back.
    """
    if not in_own_transaction(connections[conf().database]):
        raise OutsideTransaction(
            f"commit_half() must be called inside transaction.atomic() on the database {conf().database!r}, so that "
            "the half message is settled together with your rows"
        )
    half = Half.objects.filter(write_id=write_id).first()
    if half is None:
        raise HalfTakenBack(f"there is no half message {write_id}: it was settled long ago, or never prepared")
    if not publish_half(half, by=SettledBy.PRODUCER):
        refuse_if_taken_back(half)


@async_unsafe(f"outbox.take_back_half() {IN_A_FUNCTION}")
def take_back_half(write_id: UUID | str) -> bool:
    """Take a half message back whose write was certainly not done, and never will be; True if it is taken back now.

    False: it was published, or is not there. In the caller's transaction, if there is one: what is to be undone
    elsewhere is undone by a message after that has committed (``prepare(otherwise=)``), never before.
    """
    half = Half.objects.filter(write_id=write_id).first()
    if half is None:
        return False
    if take_half_back(half, by=SettledBy.PRODUCER):
        return True
    return Half.objects.filter(pk=half.pk, state=HalfState.TAKEN_BACK).exists()


def refuse_if_taken_back(half: Half) -> None:
    """Raise ``HalfTakenBack`` if that is what somebody else was faster to do."""
    if Half.objects.filter(pk=half.pk, state=HalfState.PUBLISHED).exists():
        return
    raise HalfTakenBack(
        f"{half} was taken back before it was committed: whoever was asked has said that its write was not done and "
        "never will be. Undo what was written all the same"
    )
