"""How each consumer stands: what the code says of it, what waits for it, and what holds it back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.html import format_html
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _

from outbox import registry
from outbox.admin import formats
from outbox.admin.counts import BoundedCount, capped
from outbox.admin.messages.unfinished import SLOW_RATE
from outbox.admin.tones import Tone
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.models import ConsumerState
from outbox.models.state import Breaker
from outbox.monitoring.findings import Finding, evaluate
from outbox.monitoring.health import Reading, read
from outbox.monitoring.measurements import ConsumerMeasurements


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """One consumer. ``entry`` is None if the code has none of that name."""

    name: str
    entry: Consumer | None
    measurements: ConsumerMeasurements
    state: ConsumerState

    @property
    def waiting(self) -> BoundedCount:
        """Messages that are not finished."""
        return capped(self.measurements.depth)

    @property
    def failed(self) -> BoundedCount:
        """Messages that wait for a person."""
        return capped(self.measurements.exhausted)

    @property
    def is_paused(self) -> bool:
        """Tell whether the pause is on."""
        return self.measurements.paused_for is not None

    @property
    def kind(self) -> str:
        """How it works, in a few words."""
        if self.entry is None:
            return _("not in the code")
        if self.entry.relay is not None:
            return _("forwards to %(destination)s") % {"destination": self.entry.relay.destination}
        if self.entry.bulk:
            return _("many at once, in one transaction") if self.entry.atomic else _("many at once, outside")
        return _("atomic") if self.entry.atomic else _("talks to another system")

    @property
    def width(self) -> str:
        """How many calls are made at once, how many are made now, and how often; empty if one after another."""
        if self.entry is None or not self.entry.wide:
            return ""
        words = [_("up to %(many)d calls at once in a process") % {"many": self.entry.concurrency}]
        if self.measurements.places:
            now = _("%(taken)d of %(places)d places taken now")
            words.append(now % {"taken": self.measurements.taken, "places": self.measurements.places})
        if self.measurements.stuck:
            words.append(_("%(many)d given up that still run") % {"many": self.measurements.stuck})
        if self.entry.rate is not None:
            words.append(_("at most %(rate)s, all workers together") % {"rate": self.entry.rate})
        return ", ".join(words)

    @property
    def tone(self) -> Tone:
        """How bad it is that it does not simply run."""
        if self.entry is None:
            return Tone.BAD
        return Tone.WAIT if self.is_paused or self.measurements.breaker_open else Tone.GOOD

    @property
    def waits_for_rate(self) -> bool:
        """Tell whether messages wait because the next call may only be made seconds from now."""
        wait = self.measurements.next_call_in
        return bool(self.entry and self.entry.rate and self.measurements.pending and wait and wait > SLOW_RATE)

    @property
    def held(self) -> str:
        """What holds it back, in a few words."""
        words = [
            *([_("not in the code")] if self.entry is None else []),
            *([_("paused by hand")] if self.is_paused else []),
            *([_("breaker open")] if self.measurements.breaker_open else []),
            *([_("waits for its rate")] if self.waits_for_rate else []),
        ]
        return ", ".join(words) or _("runs")

    @property
    def verdict(self) -> str:
        """How it stands, as a sentence."""
        if self.tone is Tone.GOOD:
            return _("It runs, and nothing about it wants a look.")
        return capfirst(self.held) + "."

    @property
    def held_back(self) -> list[str]:
        """Who paused it, why and for how long, and when the breaker probes next, as HTML; empty if it is not held."""
        lines: list[str] = []
        if self.is_paused:
            by = _("by %(actor)s: “%(reason)s”") % {
                "actor": self.state.paused_by,
                "reason": Truncator(self.state.paused_reason).chars(200),
            }
            until = self.state.paused_until
            lines.append(
                format_html("{}, {} {}", by, _("until"), formats.format_moment(until))
                if until
                else format_html("{}, {}", by, _("until somebody resumes it"))
            )
        if self.waits_for_rate:
            lines.append(format_html("{} {}", _("next call"), formats.format_moment(self.state.next_call)))
        if self.measurements.breaker_open:
            lines.append(format_html("{} {}", _("next probe"), formats.format_moment(self.state.probe_at)))
        return lines

    @property
    def gone_since(self) -> datetime | None:
        """Since when the code has no consumer of that name; None if it has one, or nobody knows."""
        return None if self.entry else self.state.gone_since

    @property
    def pause_button(self) -> str:
        """What the button says that leads to holding it back, or to letting it go on."""
        return _("Resume…") if self.is_paused else _("Pause…")

    @property
    def pause_label(self) -> str:
        """The same for those who listen: which consumer it is about."""
        return (_("Resume %(name)s") if self.is_paused else _("Pause %(name)s")) % {"name": self.name}


def list_statuses(reading: Reading) -> list[ConsumerStatus]:
    """Return every consumer of the code, and those that only the tables know because something waits or is held."""
    measured = {one.name: one for one in reading.measurements.consumers}
    states = reading.states
    unmeasured = [_status(name, None, state) for name, state in states.items() if name not in measured]
    known = [_status(name, one, states.get(name)) for name, one in measured.items()]
    held = [one for one in unmeasured if one.is_paused or one.measurements.breaker_open]
    return sorted([*known, *held], key=lambda one: one.name)


def find_status(name: str) -> tuple[ConsumerStatus, Sequence[Finding]] | None:
    """Return one consumer and what is to be said of it; None if nothing is known under that name."""
    reading = read()
    ours = next((one for one in reading.measurements.consumers if one.name == name), None)
    state = reading.states.get(name)
    if ours is None and state is None:
        return None
    status = _status(name, ours, state)
    about = [finding for finding in evaluate(reading.measurements, conf()) if finding.subject == name and finding.level]
    return status, about


def _status(name: str, measurements: ConsumerMeasurements | None, state: ConsumerState | None) -> ConsumerStatus:
    if measurements is None:  # nothing waits, so it was not measured: only its state is known
        measurements = ConsumerMeasurements(
            name=name,
            in_code=False,
            paused_for=getattr(state, "pause", None),  # annotated: null unless the pause is on
            breaker_open=state is not None and state.breaker == Breaker.OPEN,
        )
    return ConsumerStatus(name, registry.get(name), measurements, state or ConsumerState(consumer=name))
