"""How each consumer stands: what the code says of it, what waits for it, and what holds it back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils.translation import gettext as _

from outbox import registry
from outbox.admin.messages.listing import Tally
from outbox.conf import conf
from outbox.models import ConsumerState
from outbox.models.state import Breaker
from outbox.monitoring.findings import Finding, judge
from outbox.monitoring.health import measure
from outbox.monitoring.measurements import CAP, ConsumerFigures, Figures
from outbox.registry import Consumer


@dataclass(frozen=True, slots=True)
class Standing:
    """One consumer. ``entry`` is None if the code has none of that name."""

    name: str
    entry: Consumer | None
    figures: ConsumerFigures
    state: ConsumerState

    @property
    def waiting(self) -> Tally:
        """Messages that are not finished."""
        return tally(self.figures.depth)

    @property
    def failed(self) -> Tally:
        """Messages that wait for a person."""
        return tally(self.figures.exhausted)

    @property
    def is_paused(self) -> bool:
        """Tell whether the pause is on."""
        return self.figures.paused_for is not None

    @property
    def kind(self) -> str:
        """How it works, in a few words."""
        if self.entry is None:
            return _("not in the code")
        if self.entry.bulk:
            return _("many at once, in one transaction") if self.entry.atomic else _("many at once, outside")
        return _("atomic") if self.entry.atomic else _("talks to another system")

    @property
    def tone(self) -> str:
        """How bad it is that it does not simply run."""
        if self.entry is None:
            return "bad"
        return "wait" if self.is_paused or self.figures.breaker_open else "good"

    @property
    def held(self) -> str:
        """What holds it back, in a few words."""
        words = [
            *([_("not in the code")] if self.entry is None else []),
            *([_("paused by hand")] if self.is_paused else []),
            *([_("breaker open")] if self.figures.breaker_open else []),
        ]
        return ", ".join(words) or _("runs")


def tally(counted: int) -> Tally:
    """Return a count that stopped at ``CAP`` as the desk shows counts."""
    return Tally(min(counted, CAP - 1), more=counted >= CAP)


def standings(figures: Figures) -> list[Standing]:
    """Return every consumer of the code, and those that only the tables know because something waits or is held."""
    measured = {one.name: one for one in figures.consumers}
    states = {state.consumer: state for state in ConsumerState.objects.all()}
    unmeasured = [_standing(name, None, state) for name, state in states.items() if name not in measured]
    known = [_standing(name, one, states.get(name)) for name, one in measured.items()]
    held = [one for one in unmeasured if one.is_paused or one.figures.breaker_open]
    return sorted([*known, *held], key=lambda one: one.name)


def find(name: str) -> tuple[Standing, Sequence[Finding]] | None:
    """Return one consumer and what is to be said of it; None if nothing is known under that name."""
    figures = measure()
    ours = next((one for one in figures.consumers if one.name == name), None)
    state = ConsumerState.objects.filter(pk=name).first()
    if ours is None and state is None:
        return None
    standing = _standing(name, ours, state)
    about = [finding for finding in judge(figures, conf()) if finding.subject == name and finding.level]
    return standing, about


def _standing(name: str, figures: ConsumerFigures | None, state: ConsumerState | None) -> Standing:
    state = state or ConsumerState(consumer=name)
    if figures is None:  # nothing waits, so it was not measured: only its state is known
        is_paused = state.paused_at is not None and ConsumerState.objects.paused().filter(pk=name).exists()
        figures = ConsumerFigures(
            name=name,
            in_code=False,
            paused_for=timedelta(0) if is_paused else None,
            breaker_open=state.breaker == Breaker.OPEN,
        )
    return Standing(name, registry.get(name), figures, state)
