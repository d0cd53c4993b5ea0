"""Asking the checks of half messages, without waiting."""

from uuid import UUID

from django.db.models.functions import Now

from outbox.external.halves import asking
from outbox.models import Half, HalfState
from outbox.testing.delivering import ROUNDS
from outbox.testing.hints import silenced


def check_back_halves(*, rounds: int = ROUNDS) -> dict[UUID, str]:
    """Ask the checks of all half messages that are open, without waiting; return by ``write_id`` how each stands then.

    That is "open", "unknown", "published" or "taken_back"; ``rounds`` is how often one is asked that says None.
    """
    known = list(Half.objects.unsettled().values_list("pk", flat=True))
    with silenced():
        for _round in range(rounds):
            Half.objects.filter(pk__in=known, state=HalfState.OPEN).update(check_at=Now())
            asked = asking.claim(len(known))
            if not asked:
                break
            asking.ask_all(asked)
    return dict(Half.objects.filter(pk__in=known).values_list("write_id", "state"))
