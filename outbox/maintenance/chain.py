"""The check of the audit's chain: once a day on from where the last one ended, once a week from the first entry.

Celery-beat calls ``check`` every ten seconds on the control queue, and workers do it if nobody else does. Each call
checks for half a second at most and notes how far it has come, so that a kill costs half a second, and no snapshot and
no lock is held for longer than one page of entries takes. Most calls find nothing to do, which is one small statement.

What changed before the place where the last check ended is found by the weekly one. Where the chain breaks, each daily
check begins with the first entry, until the chain is whole again.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from outbox import audit
from outbox.audit import Checked
from outbox.conf import conf
from outbox.models import Heartbeat
from outbox.monitoring.chain import HEARTBEAT, ChainCheck, as_moment
from outbox.monitoring.planned import must_take_over

log = logging.getLogger("outbox.audit")

TAKEOVER = "audit by a worker"
OVERDUE = timedelta(minutes=5)
"""Age of the last pass at which workers check themselves."""
EVERY = timedelta(days=1)
FULL_EVERY = timedelta(days=7)
BUDGET = timedelta(seconds=0.5)
"""How long one pass may check: the control worker has the rescan to make as well."""
SAID_EVERY = timedelta(minutes=1)
"""How often a pass that has nothing to do notes that it was made."""


def check(*, budget: timedelta = BUDGET) -> ChainCheck:
    """Check the next part of the chain, if a check is due or under way; return what is known by now."""
    noted = Heartbeat.objects.filter(name=HEARTBEAT).annotate(now=Now()).first()
    if noted is None:
        Heartbeat.objects.record(HEARTBEAT)
        noted = Heartbeat.objects.annotate(now=Now()).get(name=HEARTBEAT)
    before, now = ChainCheck.from_json(noted.data), getattr(noted, "now")  # noqa: B009  # annotated above
    check = _begin_if_due(before, now)
    if not check.began_at:
        if now - noted.at > SAID_EVERY or noted.at > now:
            _save(noted.data, before)
        return before
    walked = audit.check_further(check.place, seconds=budget.total_seconds())
    check = replace(check, last_id=walked.last_id, last_digest=walked.last_digest, entries=walked.entries)
    if walked.at_end and not _is_still_there(check):
        walked = replace(walked, broken=check.whole_to)
    if walked.broken is not None:
        check = _broken(check, walked.broken, now)
    elif walked.at_end:
        check = _whole(check, now)
    _save(noted.data, check)
    return check


def check_if_overdue() -> bool:
    """Check if nobody has for five minutes; tell whether it was us. How workers cover for a dead beat."""
    if not must_take_over(HEARTBEAT, after=OVERDUE, turn=TAKEOVER):
        return False
    check()
    return True


def _begin_if_due(check: ChainCheck, now: datetime) -> ChainCheck:
    """Begin a round, on from the last one or with the first entry, if none is under way and the last is a day old."""
    ended, full = as_moment(check.ended_at), as_moment(check.full_at)
    if check.began_at or (ended is not None and ended <= now < ended + EVERY):
        return check
    begun = replace(check, began_at=now.isoformat(), entries=0, is_full=False)
    if check.broken or full is None or not full <= now < full + FULL_EVERY:
        return replace(begun, is_full=True, last_id=0, last_digest="")
    return begun


def _is_still_there(check: ChainCheck) -> bool:
    """Tell whether the entry is there up to which the chain was whole before, as it was; or was pruned."""
    return audit.is_there_or_pruned(Checked(check.whole_to, check.whole_digest)) if check.whole_to else True


def _broken(check: ChainCheck, id: int, now: datetime) -> ChainCheck:
    if check.broken != id:
        log.error("the audit's chain breaks at entry %d: it, or one before it, was changed, removed or put in", id)
    broken_at = check.broken_at if check.broken == id else now.isoformat()
    return replace(check, broken=id, broken_at=broken_at, began_at="", ended_at=now.isoformat())


def _whole(check: ChainCheck, now: datetime) -> ChainCheck:
    """Note that a round has found nothing. What a full round has not found any more is over."""
    if check.is_full:
        check = replace(check, full_at=now.isoformat(), broken=0, broken_at="")
    return replace(check, began_at="", ended_at=now.isoformat(), whole_to=check.last_id, whole_digest=check.last_digest)


def _save(seen: Mapping[str, Any], check: ChainCheck) -> None:
    """Note what was found, unless somebody else has noted something meanwhile: then theirs stands."""
    with transaction.atomic(using=conf().database):
        noted = Heartbeat.objects.select_for_update(no_key=True).get(name=HEARTBEAT)
        if noted.data == seen:
            Heartbeat.objects.record(HEARTBEAT, **check.as_json())
