"""Telling people what is wrong: once when it appears or gets worse, again after some hours, and once when it is over.

What was found and what people were told is kept in ``Alarm``, one row per thing that is wrong, so that neither a
doubled chore nor a restart tells anything twice. The order is: look, write down, commit, tell, write down that it was
told. So nothing is forgotten if the process dies in between, and no transaction is open while the network is slow.

Celery-beat calls ``watch`` every 30 s on the control queue; workers do it if nobody else does. What cannot be told from
in here, that no worker at all is running, must be asked from outside: ``/readyz`` and ``/metrics``.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.request import HTTPRedirectHandler, Request, build_opener

from django.conf import settings
from django.core.mail import get_connection, mail_admins
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.module_loading import import_string
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.models import Alarm, Pulse
from outbox.monitoring.findings import Finding, Level
from outbox.monitoring.health import health

log = logging.getLogger("outbox.alerts")

PULSE = "alerts"
TURNS = "alerts by turns"
TURN = timedelta(seconds=20)
"""Only one process looks in so long; longer than telling takes, shorter than beat's interval."""
OVERDUE = timedelta(minutes=2)
"""Age of the last look at which workers look themselves."""
WAIT = timedelta(seconds=90)
"""How long a warning must last before anybody is told. What is critical is told at once."""
CALM = timedelta(minutes=2)
"""How long a thing must be in order before it is called over, so that what flickers is told once."""
PATIENCE = 5.0
"""Seconds that a mail server or a webhook has to answer."""
SUBJECT_LENGTH = 110


_LOG_LEVELS = {Level.OK: logging.INFO, Level.WARNING: logging.WARNING, Level.CRITICAL: logging.ERROR}


class Kind(StrEnum):
    """Why something is told."""

    NEW = "new"
    AGAIN = "again"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell. ``about`` is the same for the same thing over time."""

    kind: Kind
    level: Level
    about: str
    sentence: str
    since: datetime

    def line(self) -> str:
        """Return it as people read it."""
        match self.kind:
            case Kind.NEW:
                return (_("CRITICAL: %s") if self.level is Level.CRITICAL else _("Warning: %s")) % self.sentence
            case Kind.AGAIN:
                return _("Still: %s") % self.sentence
            case Kind.OVER:
                return _("Over: %s") % self.sentence


Channel = Callable[[Sequence[News]], None]


def watch() -> list[News]:
    """Look, and tell what is new; return that. Does nothing if another process has just looked.

    What no channel could send is news again the next time, unless there is no channel but the log.
    """
    if not Pulse.objects.claim(TURNS, every=TURN):
        return []
    _write_down([finding for finding in health().findings if finding.level])
    news = _news()
    channels = _channels()
    deaf = _tell(news, channels)
    if len(deaf) < len(channels) or not channels:
        _mark_told(news)
    _beat(news, deaf)
    return news


def watch_if_overdue() -> bool:
    """Look if nobody has for two minutes; tell whether it was us. How workers cover for a dead control worker."""
    if Pulse.objects.ran_within(PULSE, OVERDUE):
        return False
    watch()
    return True


def _write_down(bad: Sequence[Finding]) -> None:
    """Note what is wrong now; what was wrong before keeps its ``since`` and what was told of it."""
    with transaction.atomic(using=conf().database):
        for finding in bad:
            Alarm.objects.update_or_create(
                about=finding.about,
                defaults={"level": int(finding.level), "sentence": finding.sentence, "seen_at": Now()},
            )


def _news() -> list[News]:
    over = Alarm.objects.over(calm=CALM)
    over.filter(told_level=0).delete()
    untold = Alarm.objects.exclude(pk__in=over.values("pk")).untold(
        at_once=int(Level.CRITICAL), wait=WAIT, again=conf().alert_again
    )
    worse = [_as_news(Kind.NEW if alarm.told_level < alarm.level else Kind.AGAIN, alarm) for alarm in untold]
    ended = [_as_news(Kind.OVER, alarm) for alarm in over]
    return sorted(worse, key=lambda news: (-news.level, news.about)) + ended


def _as_news(kind: Kind, alarm: Alarm) -> News:
    return News(kind, Level(alarm.level), alarm.about, alarm.sentence, alarm.since)


def _mark_told(news: Sequence[News]) -> None:
    """Remember what people know; what is over is forgotten."""
    Alarm.objects.over(calm=CALM).filter(pk__in=[one.about for one in news if one.kind is Kind.OVER]).delete()
    known = Alarm.objects.filter(pk__in=[one.about for one in news if one.kind is not Kind.OVER])
    known.update(told_level=F("level"), told_at=Now())


def _beat(news: Sequence[News], deaf: Sequence[str]) -> None:
    """Note the success; which channels failed is remembered until the next time there is something to tell."""
    if news:
        Pulse.objects.beat(PULSE, deaf=list(deaf))
    else:
        known = Pulse.objects.filter(name=PULSE).values_list("data", flat=True).first() or {}
        Pulse.objects.beat(PULSE, **known)


def _channels() -> dict[str, Channel]:
    """Return the ways out of here that are set up; the log is none, it is always written."""
    channels: dict[str, Channel] = {}
    if settings.ADMINS:
        channels["mail"] = _mail
    if conf().alert_webhook:
        channels["webhook"] = _post
    if conf().alert_hook:
        channels["hook"] = _call_hook
    return channels


def _tell(news: Sequence[News], channels: Mapping[str, Channel]) -> list[str]:
    """Tell by every channel and return those that failed. One that is broken never keeps the others from telling."""
    deaf: list[str] = []
    if not news:
        return deaf
    for one in news:
        log.log(_LOG_LEVELS[one.level] if one.kind is not Kind.OVER else logging.INFO, "%s", one.line())
    for name, send in channels.items():
        try:
            send(news)
        except Exception as error:
            # The host's mail backend and hook may raise anything. Its text is left out: it may hold the secret address.
            log.error("alerts could not be sent by %s: %s", name, type(error).__name__)
            deaf.append(name)
    return deaf


def _mail(news: Sequence[News]) -> None:
    """Mail all news at once to ``ADMINS``."""
    worst = max(news, key=lambda one: (one.kind is not Kind.OVER, one.level))
    subject = Truncator(" ".join(worst.line().split())).chars(SUBJECT_LENGTH)
    if len(news) > 1:
        subject = _("%(first)s (and %(more)d more)") % {"first": subject, "more": len(news) - 1}
    body = "\n\n".join(one.line() for one in news)
    mail_admins(subject, body, connection=get_connection(timeout=settings.EMAIL_TIMEOUT or PATIENCE))


class _NoRedirect(HTTPRedirectHandler):
    """Refuses to be sent elsewhere; the answer is then an error."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Follow nothing."""


def _post(news: Sequence[News]) -> None:
    """Post all news at once as JSON; ``text`` is what chat systems show."""
    body = {
        "text": "\n".join(one.line() for one in news),
        "alerts": [{**asdict(one), "level": one.level.word, "since": one.since.isoformat()} for one in news],
    }
    request = Request(  # noqa: S310  # the settings allow https, and http on this machine
        conf().alert_webhook,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with build_opener(_NoRedirect).open(request, timeout=PATIENCE):
        pass


def _call_hook(news: Sequence[News]) -> None:
    """Call the host's own function with all news at once."""
    import_string(conf().alert_hook)(list(news))
