"""What a receipt does to its message. Nothing is done that its receiver, its signature or its attempt do not cover.

*failed* and *rejected* count for the attempt that is under way, and for no other. *consumed* counts whichever attempt
it is of: what is pending, started or exhausted is a success then. What a person has closed stays closed, and is shown
as one that may have been done twice.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models.functions import Now

from outbox import logs, registry
from outbox.broker import receipts as own_receipts
from outbox.broker.waking import wake_and_hint
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import execution, follow_up, settling
from outbox.delivery.execution import Report
from outbox.errors import ReceiptFailed, Reject
from outbox.external.receipts.receipt import CONSUMED, FAILED, NoReceipt, Receipt, read_receipt
from outbox.models import AwaitedReceipt, Evidence, EvidenceKind, HandledAs, Message, ReceiptCount, ReceiptKind
from outbox.models.evidence import EVIDENCE_LENGTH
from outbox.models.receipt import APPLIED, FORGED
from outbox.models.said import storable
from outbox.models.sql.order import OrderOfKey
from outbox.models.status import Resolution, Status
from outbox.policy import Succeeded
from outbox.sources import Incoming, Source

log = logging.getLogger("outbox.receipts")


@dataclass
class _Said:
    """What a batch of receipts came to: how many of which kind, and what follows from them."""

    kinds: Counter[ReceiptKind] = field(default_factory=Counter)
    last: dict[ReceiptKind, str] = field(default_factory=dict)
    consumed: list[Message] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    def note(self, kind: ReceiptKind, about: str) -> None:
        """Count one."""
        self.kinds[kind] += 1
        self.last[kind] = storable(about, most=200)


def take_in(source: Source, batch: Sequence[Incoming]) -> tuple[int, int]:
    """Apply receipts; return how many have changed something, and how many have not. Committed when it returns."""
    said = _Said()
    receipts = list(_read(batch, said))
    while receipts:
        receipts, again = _one_of_each(receipts)
        _apply_in_transaction(source, receipts, said)
        receipts = again
    with transaction.atomic(using=conf().database, durable=True):
        ReceiptCount.objects.add(said.kinds, said.last)
    for kind in FORGED:
        if said.kinds[kind]:
            log.warning("%d receipts were not believed: %s (%s)", said.kinds[kind], kind.label, said.last[kind])
    changed = sum(said.kinds[kind] for kind in APPLIED)
    return changed, said.kinds.total() - changed


def refuse(error: str) -> None:
    """Count a receipt that the database refuses, whatever it is."""
    with transaction.atomic(using=conf().database, durable=True):
        ReceiptCount.objects.add({ReceiptKind.MALFORMED: 1}, {ReceiptKind.MALFORMED: error})


def _read(batch: Sequence[Incoming], said: _Said) -> Iterable[Receipt]:
    for incoming in batch:
        try:
            yield read_receipt(incoming.body)
        except NoReceipt as error:
            said.note(ReceiptKind.MALFORMED, str(error))


def _one_of_each(receipts: Sequence[Receipt]) -> tuple[list[Receipt], list[Receipt]]:
    """Return the first receipt of each message, and the others, which meet what the first has made of it."""
    first: dict[str, Receipt] = {}
    others = [receipt for receipt in receipts if first.setdefault(str(receipt.key), receipt) is not receipt]
    return list(first.values()), others


def _apply_in_transaction(source: Source, receipts: Sequence[Receipt], said: _Said) -> None:
    """Apply receipts of different messages, whose rows stay locked until all of it is written."""
    mine = _Said()
    by_consumer: dict[str, list[Report]] = defaultdict(list)
    with transaction.atomic(using=conf().database, durable=True):
        awaited = {row.key: row for row in AwaitedReceipt.objects.by_key(receipt.key for receipt in receipts)}
        ids = [row.message_id for row in awaited.values()]
        locked = Message.objects.filter(pk__in=ids).select_for_update(no_key=True).order_by("pk")
        messages = {message.pk: message for message in locked} if ids else {}
        for receipt in receipts:
            row = awaited.get(receipt.key)
            message = messages.get(row.message_id) if row else None
            if row is None or message is None or message.drawn_key != row.key:
                mine.note(ReceiptKind.UNKNOWN, f"{receipt.receiver}, {receipt.message_id}")
                continue
            kind = _refusal(source, receipt, row) or _effect_on(message, receipt)
            _note_effect(kind, message, receipt, mine)
        Message.objects.filter(pk__in=[message.pk for message in mine.consumed]).mark_consumed()
        own_receipts.publish_receipts(mine.consumed)
        for report in mine.reports:
            by_consumer[report.message.consumer].append(report)
        for name, reports in by_consumer.items():
            settling.settle(_consumer(name), reports)
    for message in mine.consumed:
        by_consumer[message.consumer].append(Report(message, Succeeded()))
    for name, reports in by_consumer.items():
        _follow_up(name, reports)
    said.kinds += mine.kinds
    said.last |= mine.last


def _refusal(source: Source, receipt: Receipt, awaited: AwaitedReceipt) -> ReceiptKind | None:
    """Return why a receipt is not believed; None if it is."""
    if receipt.receiver != awaited.receiver:
        return ReceiptKind.RECEIVER
    if source.receipts_of:
        # Its own queue: whoever may write to it is the receiver.
        return None if receipt.receiver == source.receipts_of else ReceiptKind.RECEIVER
    secret = conf().receivers.get(receipt.receiver)
    return None if secret and receipt.is_signed_with(secret) else ReceiptKind.SIGNATURE


def _effect_on(message: Message, receipt: Receipt) -> ReceiptKind:
    """Return what a receipt that is believed does to its message."""
    if receipt.attempt > message.attempts:
        return ReceiptKind.MALFORMED
    is_open = message.finished_at is None or message.exhausted_at is not None
    if receipt.outcome == CONSUMED:
        if is_open:
            return ReceiptKind.CONSUMED
        return ReceiptKind.SETTLED if message.resolution == Resolution.NONE else ReceiptKind.DOUBLED
    if not is_open:
        return ReceiptKind.SETTLED
    under_way = message.status == Status.STARTED and receipt.attempt == message.attempts
    if not under_way or registry.get(message.consumer) is None:
        return ReceiptKind.LATE
    return ReceiptKind.FAILED if receipt.outcome == FAILED else ReceiptKind.REJECTED


def _note_effect(kind: ReceiptKind, message: Message, receipt: Receipt, said: _Said) -> None:
    match kind:
        case ReceiptKind.CONSUMED:
            said.consumed.append(message)
        case ReceiptKind.DOUBLED if not _note_double(message, receipt):
            kind = ReceiptKind.SETTLED
        case ReceiptKind.FAILED:
            said.reports.append(execution.classify(message, ReceiptFailed(receipt.shown_detail)))
        case ReceiptKind.REJECTED:
            said.reports.append(execution.classify(message, Reject(receipt.shown_detail)))
    said.note(kind, f"{receipt.receiver}, message {message.pk}, attempt {receipt.attempt}")
    with logs.at_work_on(message):
        log.info("message %d: receipt of %s: %s", message.pk, receipt.receiver, kind.label)


def _note_double(message: Message, receipt: Receipt) -> bool:
    """Write down that what a person has closed was consumed as well; False if that is known already."""
    known = Evidence.objects.standing().filter(message=message, doubled_at__isnull=False)
    if known.exists():
        return False
    if not Evidence.objects.note_double(message.pk):
        # Discarded, withdrawn: nobody has said that it was issued. The receiver has now.
        Evidence(
            message=message,
            kind=EvidenceKind.NOTE,
            text=f"receipt: consumed in attempt {receipt.attempt}"[:EVIDENCE_LENGTH],
            outcome=HandledAs.ISSUED,
            actor=receipt.receiver,
            doubled_at=Now(),
        ).save(force_insert=True, using=conf().database)
    log.error("message %d was closed by hand, and %s has consumed it as well", message.pk, receipt.receiver)
    return True


def _consumer(name: str) -> Consumer:
    consumer = registry.get(name)
    if consumer is None:
        raise LookupError(name)
    return consumer


def _follow_up(name: str, reports: Sequence[Report]) -> None:
    consumer = registry.get(name)
    if consumer is not None:
        follow_up.follow_up(consumer, reports)
        return
    keys = {OrderOfKey(name, report.message.ordering_key) for report in reports if report.message.ordering_key}
    wake_and_hint(keys)
