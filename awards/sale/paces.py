"""The flash sales as this process knows them: how fast each may be drawn from, and whose draws wait in a queue.

So a refusal asks nobody, and a draw that is only put into a queue does not read its campaign. A thread reads it all
anew every second while requests come, and writes down what was counted meanwhile.
"""

import logging
import os
import threading
import time
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connections
from django.db.models import Q

from awards import conf
from awards.models import Campaign, Prize
from awards.sale import redis_stock, tallies
from awards.sale.buckets import Bucket, web_processes

log = logging.getLogger("awards.sale")

READ_EVERY = 1.0
STALE = 3.0
"""Seconds after which what is known of a campaign is not gone by: the database is slow, or away."""
RESTS_AFTER = 5.0
"""Seconds without a request after which the thread ends."""
WITHOUT_REDIS = 2.0
"""Seconds for which Redis is not asked after it has not answered."""


@dataclass
class Pace:
    """The rate of one campaign, and when the next request is let in, as far as it is known here."""

    campaign_id: int
    rate: int
    burst: int
    bucket: Bucket = field(repr=False, compare=False)
    closed_until: float = field(default=0.0, compare=False)

    def wait(self) -> float:
        """Let a request in and return 0, or return the seconds until the next is."""
        now = time.monotonic()
        if (rest := self.closed_until - now) > 0:
            return rest
        if not conf.has_redis() or now < _known.without_redis_until:
            return self.bucket.wait()
        try:
            rest = redis_stock.admit(self.campaign_id, rate=self.rate, burst=self.burst).total_seconds()
        except Exception as error:  # whatever Redis does, the sale goes on at about its rate
            log.warning("Redis does not count who is let in, so each process does: %s", error)
            _known.without_redis_until = now + WITHOUT_REDIS
            return self.bucket.wait()
        self.closed_until = now + rest
        return rest


@dataclass
class _Known:
    """What this process knows."""

    pid: int = 0
    paces: Mapping[str, Pace] = field(default_factory=dict)
    queues: Mapping[str, Campaign] = field(default_factory=dict)
    read_at: float = 0.0
    asked_at: float = 0.0
    runs: bool = False
    without_redis_until: float = 0.0
    without_database_until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


_known = _Known()


def pace_of(slug: str) -> Pace | None:
    """Return how fast a campaign may be drawn from; None without a limit. Only the first in a while waits for it."""
    return _kept().paces.get(slug)


def queue_of(slug: str) -> Campaign | None:
    """Return a campaign whose draws wait in a queue, as it was a second ago at most, with the time of now."""
    known = _kept()
    campaign = known.queues.get(slug)
    age = time.monotonic() - known.read_at
    if campaign is None or age > STALE:
        return None
    current = copy(campaign)
    current.clock = campaign.clock + timedelta(seconds=age)
    return current


def load() -> None:
    """Read all sales: two queries. A bucket stays as full as it is unless its rate was changed."""
    began = time.monotonic()
    sales = Campaign.objects.with_clock().with_sale().filter(sale__isnull=False, active=True)
    found = [(campaign, campaign.sale) for campaign in sales.filter(Q(sale__rate__isnull=False) | Q(sale__queues=True))]
    _known.paces = {campaign.slug: _pace(campaign, sale.rate, sale.burst) for campaign, sale in found if sale.rate}
    queues = {campaign.slug: campaign for campaign, sale in found if sale.queues}
    left = Prize.objects.filter(Q(stock__isnull=True) | Q(stock__gt=0), campaign__in=queues.values())
    has_prizes = set(left.filter(Q(weight__gt=0) | Q(is_fallback=True)).values_list("campaign_id", flat=True))
    for campaign in queues.values():
        campaign.is_sold_out = campaign.pk not in has_prizes
    _known.queues = queues
    _known.read_at = began


def _kept() -> _Known:
    """Return what is known, with a thread that keeps it so."""
    global _known
    if _known.pid != os.getpid():
        _known = _Known(pid=os.getpid())
    known = _known
    known.asked_at = time.monotonic()
    if not known.runs:
        with known.lock:
            if not known.runs and known.asked_at >= known.without_database_until:
                _begin(known)
    return known


def _begin(known: _Known) -> None:
    """Read all sales and keep them so. Without the database what was known before holds, and others say it is away."""
    try:
        load()
    except Exception as error:
        log.warning("the rates of sales could not be read: %s", error)
        known.without_database_until = time.monotonic() + READ_EVERY
        connections.close_all()
        return
    known.runs = True
    threading.Thread(target=_keep, args=(known,), name="awards-sale-paces", daemon=True).start()


def _pace(campaign: Campaign, rate: int, burst: int) -> Pace:
    shares = web_processes()
    new = Pace(campaign.pk, rate, burst, Bucket(rate=rate / shares, burst=max(1.0, burst / shares)))
    earlier = _known.paces.get(campaign.slug)
    return earlier if earlier == new else new


def _keep(known: _Known) -> None:
    try:
        while time.monotonic() - known.asked_at < RESTS_AFTER:
            time.sleep(READ_EVERY)
            try:
                load()
                tallies.write_down()
            except Exception as error:  # the database is away: what was known before still holds
                log.warning("the rates of sales could not be read: %s", error)
                connections.close_all()
    finally:
        known.runs = False
        connections.close_all()
