"""What the daily check of the audit's chain has come to, as it is kept between its parts.

``outbox.maintenance.chain`` writes it into the heartbeat of the chore, and whoever shows or judges it reads it there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from outbox.audit import Checked
from outbox.models import Heartbeat
from outbox.monitoring.finding import Finding, Level, What, in_words
from outbox.monitoring.measurements import ChainMeasurements, Planned
from outbox.monitoring.notes import HeartbeatNote
from outbox.policy import ZERO

HEARTBEAT = "audit"
"""Under which name the chore notes that it ran, and what it has found."""
UNCHECKED = timedelta(days=2)
"""How long the chain may go unchecked, which is checked once a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainCheck:
    """How far the chain was checked; moments are ISO 8601, empty if there was none.

    ``last_id``, ``last_digest`` and ``entries`` are of the round that is under way, or of the last: which entry was
    checked last, and how many. A round that ``is_full`` began with the first entry, else it went on from the round
    before. ``whole_to`` and ``whole_digest`` are the last entry up to which a round has found the chain whole.
    ``broken`` is the entry at which it breaks, or 0.
    """

    last_id: int = 0
    last_digest: str = ""
    entries: int = 0
    is_full: bool = False
    began_at: str = ""
    """When the round began that is under way."""
    ended_at: str = ""
    full_at: str = ""
    """When a round that was full has last found the chain whole."""
    whole_to: int = 0
    whole_digest: str = ""
    broken: int = 0
    broken_at: str = ""

    @property
    def place(self) -> Checked:
        """Return where the check goes on."""
        return Checked(self.last_id, self.last_digest, self.entries)

    def as_json(self) -> dict[str, Any]:
        """Return it as the heartbeat keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, noted: Mapping[str, Any]) -> "ChainCheck":
        """Return what ``as_json`` has written; what another release wrote beside it is left out."""
        return cls(**{field.name: noted[field.name] for field in fields(cls) if field.name in noted})


def read_check() -> ChainCheck:
    """Return what was noted last."""
    noted = Heartbeat.objects.filter(name=HEARTBEAT).values_list("data", flat=True).first()
    return ChainCheck.from_json(noted or {})


def as_moment(noted: str) -> datetime | None:
    """Return a moment of a check; None for none."""
    return parse_datetime(noted) if noted else None


def measure_chain(noted: HeartbeatNote) -> ChainMeasurements:
    """Return what is judged of what the chore has noted, by the database's clock, which has noted it."""
    check = ChainCheck.from_json(noted.data)
    ended = as_moment(check.ended_at)
    if ended is None or noted.now is None:
        return ChainMeasurements(check.whole_to, None, check.broken)
    # With USE_TZ = False it was noted in local time.
    ago = max(noted.now - (timezone.make_aware(ended) if timezone.is_naive(ended) else ended), ZERO)
    return ChainMeasurements(check.whole_to, ago, check.broken)


def judge_chain(chain: ChainMeasurements, *, known_for: timedelta, plan: Planned) -> Iterator[Finding]:
    """Tell where the chain breaks, up to which entry it is whole, and when nobody has looked for long.

    ``known_for`` is how long the installation has been running: so old is a chain that was never checked. A check that
    a person has switched off, by the ``plan``, is a finding about the chore, and is not told twice.
    """
    age = known_for if chain.checked_ago is None else chain.checked_ago
    words = {"id": chain.broken or chain.whole_to, "age": in_words(age), "limit": in_words(UNCHECKED)}
    seconds = (age.total_seconds(), UNCHECKED.total_seconds())
    if chain.broken:
        yield Finding(Level.CRITICAL, What.AUDIT, break_in_words(chain.broken), "", chain.broken)
    if plan.switched_off:
        return
    if age > UNCHECKED + plan.later:
        text = _(
            "The audit's chain was last checked %(age)s ago, limit %(limit)s: look at the entry “outbox: check of the "
            "audit” in celery-beat and at the control worker's log."
        )
        if chain.checked_ago is None:
            text = _(
                "The audit's chain has never been checked: is the entry “outbox: check of the audit” in celery-beat "
                "there and enabled?"
            )
        yield Finding(Level.WARNING, What.AUDIT, text % words, "check", *seconds)
    elif chain.checked_ago is not None and not chain.broken:
        text = _("The audit's chain is whole up to entry %(id)s, checked %(age)s ago.")
        yield Finding(Level.OK, What.AUDIT, text % words, "", *seconds)


def break_in_words(id: int) -> str:
    """Say where the chain breaks, and what to do."""
    return _(
        "The audit's chain breaks at entry %(id)s: it, or one before it, was changed, removed or put in past the desk. "
        "Keep a backup of the database as it is now, compare the entries with the archive (manage.py outbox_audit "
        "--json), and find out who may write to the table."
    ) % {"id": id}
