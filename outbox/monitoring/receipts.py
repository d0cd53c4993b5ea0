"""Receipts: how many have come for our forwards, and whether somebody sends some that nobody should."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now
from django.utils.translation import ngettext

from outbox import sources
from outbox.models import ReceiptCount, ReceiptKind
from outbox.models.receipt import FORGED
from outbox.monitoring.finding import Finding, Level, What, in_words

FRESH = timedelta(hours=1)
"""How long health speaks of a receipt that was not believed."""


@dataclass(frozen=True, slots=True)
class ReceiptMeasurements:
    """How many receipts of one kind have come, how long ago the last one, and what that was about."""

    kind: ReceiptKind
    many: int = 0
    ago: timedelta | None = None
    said: str = ""


def measure_receipts() -> tuple[ReceiptMeasurements, ...]:
    """Return the counts of every kind; nothing, and no statement, where no forward waits for receipts."""
    if all(source.receipts_of is None for source in sources.all_sources()):
        return ()
    ago = ExpressionWrapper(Now() - F("at"), output_field=DurationField())
    found = ReceiptCount.objects.annotate(ago=ago).values_list("kind", "many", "ago", "said")
    rows = {kind: ReceiptMeasurements(ReceiptKind(kind), *rest) for kind, *rest in found}
    return tuple(rows.get(kind, ReceiptMeasurements(kind)) for kind in ReceiptKind)


def judge_receipts(measured: tuple[ReceiptMeasurements, ...]) -> Iterator[Finding]:
    """Yield a finding for each kind of receipt that was not believed and came lately."""
    for one in measured:
        if one.kind in FORGED and one.ago is not None and one.ago <= FRESH:
            text = ngettext(
                "%(many)d receipt was not believed: %(kind)s. The last came %(age)s ago (%(said)s). It has changed "
                "nothing. Does somebody forge receipts, or has a receiver another secret?",
                "%(many)d receipts were not believed: %(kind)s. The last came %(age)s ago (%(said)s). They have "
                "changed nothing. Does somebody forge receipts, or has a receiver another secret?",
                one.many,
            )
            words = {"many": one.many, "kind": one.kind.label, "age": in_words(one.ago), "said": one.said}
            yield Finding(Level.WARNING, What.RECEIPTS, text % words, one.kind.value, one.many, 0)
