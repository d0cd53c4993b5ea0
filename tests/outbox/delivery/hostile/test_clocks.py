"""Handlers that move the clocks of their process and leave them so, or take longer than they may."""

import os
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from outbox import Message
from outbox.maintenance import rescan
from tests.outbox.delivery.hostile.oracle import ATOMIC, BULK, Case, pairs
from tests.outbox.delivery.hostile.test_threads import in_a_thread

pytestmark = pytest.mark.services


def replaces(clock, by):
    """Return the act that puts another clock into every module, as libraries do that freeze time, and leaves it."""

    def act(_message):
        old = getattr(time, clock)
        for module in list(sys.modules.values()):
            for name, value in list(getattr(module, "__dict__", {}).items()):
                if value is old:
                    setattr(module, name, by(old))

    return act


def stopped(clock):
    now = clock()
    return lambda: now


def moved(hours):
    return lambda clock: lambda: clock() + hours * 3600


def freezes_now(_message):
    timezone.now = lambda: datetime(2001, 1, 1, tzinfo=UTC)


def moves_the_zone(_message):
    os.environ["TZ"] = "Pacific/Kiritimati"
    time.tzset()


def activates_a_zone(_message):
    timezone.activate(timezone.get_fixed_timezone(14 * 60))


def uses_no_zones(_message):
    settings.USE_TZ = False
    settings.TIME_ZONE = "Asia/Tokyo"


def sleeps_past_its_timeout(_message):
    time.sleep(0.5)


def sleeps_past_its_lease(message):
    """Have the lease end and a rescan come by before this goes on."""

    def come_by():
        Message.objects.filter(pk=message.pk).select_for_update(skip_locked=True)
        rows = Message.objects.filter(pk=message.pk, status="started")
        free = rows.select_for_update(skip_locked=True).values("pk")
        Message.objects.filter(pk__in=free).update(lease_until=Now() - timedelta(minutes=1))
        rescan.rescan()

    in_a_thread(come_by)


SHORT = timedelta(seconds=0.3)
LIMITED = (ATOMIC, BULK)
"""Outside a transaction nothing is broken off."""

CASES = [
    Case("clock", "time.time is stopped", replaces("time", stopped)),
    Case("clock", "time.monotonic is stopped", replaces("monotonic", stopped)),
    Case("clock", "time.monotonic is a day ahead", replaces("monotonic", moved(24))),
    Case("clock", "Django's now is stopped", freezes_now),
    Case("clock", "the process is in another zone", moves_the_zone),
    Case("clock", "Django's zone is another", activates_a_zone),
    Case("clock", "USE_TZ is off", uses_no_zones),
    Case("clock", "sleeps past its timeout", sleeps_past_its_timeout, ways=LIMITED, timeout=SHORT),
    Case("clock", "goes on past its lease", sleeps_past_its_lease),
]


@pytest.mark.parametrize(**pairs(CASES))
def test_a_handler_that_moves_the_clock_costs_its_neighbours_nothing(judge, case, way):
    judge(case, way)
