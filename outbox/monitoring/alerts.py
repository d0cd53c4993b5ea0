"""Telling people what is wrong: once when it appears or gets worse, again after some hours, and once when it is over.

What was found and what people were told is kept in ``Alert``, one row per thing that is wrong, so that neither a
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
from django.core import mail
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.module_loading import import_string
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from outbox.conf import conf
from outbox.models import Alert, Heartbeat
from outbox.monitoring.findings import Finding, Level
from outbox.monitoring.health import health
from outbox.monitoring.planned import must_take_over

log = logging.getLogger("outbox.alerts")

ALERTS_HEARTBEAT = "alerts"
TURNS = "alerts by turns"
TURN = timedelta(seconds=20)
"""Only one process looks in so long; longer than telling takes, shorter than beat's interval."""
OVERDUE = timedelta(minutes=2)
"""Age of the last look at which workers look themselves."""
WARNING_WAIT = timedelta(seconds=90)
"""How long a warning must last before anybody is told. What is critical is told at once."""
RESOLVED_AFTER = timedelta(minutes=2)
"""How long a thing must be in order before it is called over, so that what flickers is told once."""
CHANNEL_TIMEOUT = 5.0
"""Seconds that a mail server or a webhook has to answer."""
SUBJECT_LENGTH = 110


_LOG_LEVELS = {Level.OK: logging.INFO, Level.WARNING: logging.WARNING, Level.CRITICAL: logging.ERROR}


class NotificationKind(StrEnum):
    """Why something is told."""

    NEW = "new"
    REMINDER = "reminder"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing to tell. ``about`` is the same for the same thing over time."""

    kind: NotificationKind
    level: Level
    about: str
    sentence: str
    since: datetime

    def line(self) -> str:
        """Return it as people read it."""
        match self.kind:
            case NotificationKind.NEW:
                return (_("CRITICAL: %s") if self.level is Level.CRITICAL else _("Warning: %s")) % self.sentence
            case NotificationKind.REMINDER:
                return _("Still: %s") % self.sentence
            case NotificationKind.RESOLVED:
                return _("Over: %s") % self.sentence


AlertChannel = Callable[[Sequence[Notification]], None]


def watch() -> list[Notification]:
    """Look, and tell what is new; return that. Does nothing if another process has just looked.

    What no channel could send is news again the next time, unless there is no channel but the log.
    """
    if not Heartbeat.objects.claim(TURNS, every=TURN):
        return []
    _save_alerts([finding for finding in health().findings if finding.level])
    notifications = _due_notifications()
    channels = _channels()
    failed_channels = _notify(notifications, channels)
    if len(failed_channels) < len(channels) or not channels:
        _mark_notified(notifications)
    _record_success(notifications, failed_channels)
    return notifications


def tell(notifications: Sequence[Notification]) -> bool:
    """Tell what is no finding of health, as the end of a bulk operation; False if no channel could send it."""
    channels = _channels()
    return len(_notify(notifications, channels)) < len(channels) or not channels


def watch_if_overdue() -> bool:
    """Look if nobody has for two minutes; tell whether it was us. How workers cover for a dead control worker."""
    if not must_take_over(ALERTS_HEARTBEAT, after=OVERDUE):
        return False
    watch()
    return True


def _save_alerts(bad: Sequence[Finding]) -> None:
    """Note what is wrong now; what was wrong before keeps its ``since`` and what was told of it."""
    with transaction.atomic(using=conf().database):
        for finding in bad:
            Alert.objects.update_or_create(
                about=finding.about,
                defaults={"level": int(finding.level), "sentence": finding.sentence, "seen_at": Now()},
            )


def _due_notifications() -> list[Notification]:
    resolved = Alert.objects.resolved(after=RESOLVED_AFTER)
    resolved.filter(notified_level=0).delete()
    unnotified = Alert.objects.exclude(pk__in=resolved.values("pk")).unnotified(
        at_once=int(Level.CRITICAL), wait=WARNING_WAIT, again=conf().alert_again
    )
    worse = [
        _notification_of(
            NotificationKind.NEW if alert.notified_level < alert.level else NotificationKind.REMINDER, alert
        )
        for alert in unnotified
    ]
    ended = [_notification_of(NotificationKind.RESOLVED, alert) for alert in resolved]
    return sorted(worse, key=lambda notification: (-notification.level, notification.about)) + ended


def _notification_of(kind: NotificationKind, alert: Alert) -> Notification:
    return Notification(kind, Level(alert.level), alert.about, alert.sentence, alert.since)


def _mark_notified(notifications: Sequence[Notification]) -> None:
    """Remember what people know; what is over is forgotten."""
    Alert.objects.resolved(after=RESOLVED_AFTER).filter(
        pk__in=[one.about for one in notifications if one.kind is NotificationKind.RESOLVED]
    ).delete()
    known = Alert.objects.filter(
        pk__in=[one.about for one in notifications if one.kind is not NotificationKind.RESOLVED]
    )
    known.update(notified_level=F("level"), notified_at=Now())


def _record_success(notifications: Sequence[Notification], failed_channels: Sequence[str]) -> None:
    """Note the success; which channels failed is remembered until the next time there is something to tell."""
    if notifications:
        Heartbeat.objects.record(ALERTS_HEARTBEAT, failed_channels=list(failed_channels))
    else:
        known = Heartbeat.objects.filter(name=ALERTS_HEARTBEAT).values_list("data", flat=True).first() or {}
        Heartbeat.objects.record(ALERTS_HEARTBEAT, **known)


def _channels() -> dict[str, AlertChannel]:
    """Return the ways out of here that are set up; the log is none, it is always written."""
    channels: dict[str, AlertChannel] = {}
    if settings.ADMINS:
        channels["mail"] = _send_mail
    if conf().alert_webhook:
        channels["webhook"] = _post
    if conf().alert_hook:
        channels["hook"] = _call_hook
    return channels


def _notify(notifications: Sequence[Notification], channels: Mapping[str, AlertChannel]) -> list[str]:
    """Tell by every channel and return those that failed. One that is broken never keeps the others from telling."""
    failed_channels: list[str] = []
    if not notifications:
        return failed_channels
    for one in notifications:
        log.log(_LOG_LEVELS[one.level] if one.kind is not NotificationKind.RESOLVED else logging.INFO, "%s", one.line())
    for name, send in channels.items():
        try:
            send(notifications)
        except Exception as error:
            # The host's mail backend and hook may raise anything. Its text is left out: it may hold the secret address.
            log.error("alerts could not be sent by %s: %s", name, type(error).__name__)
            failed_channels.append(name)
    return failed_channels


def _send_mail(notifications: Sequence[Notification]) -> None:
    """Mail all news at once to ``ADMINS``."""
    worst = max(notifications, key=lambda one: (one.kind is not NotificationKind.RESOLVED, one.level))
    subject = Truncator(" ".join(worst.line().split())).chars(SUBJECT_LENGTH)
    if len(notifications) > 1:
        subject = _("%(first)s (and %(more)d more)") % {"first": subject, "more": len(notifications) - 1}
    body = "\n\n".join(one.line() for one in notifications)
    mail.mail_admins(subject, body, connection=_mail_connection())


def _mail_connection() -> Any:
    """Return the host's mail backend, with a limit to how long it waits; where Django has mailers, the default one."""
    mailers = getattr(mail, "mailers", None)  # since Django 6.1, with EMAIL_ settings or with MAILERS
    connection: Any = mail.get_connection() if mailers is None else mailers.default
    if getattr(connection, "timeout", 0) is None:
        connection.timeout = CHANNEL_TIMEOUT
    return connection


class _NoRedirect(HTTPRedirectHandler):
    """Refuses to be sent elsewhere; the answer is then an error."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Follow nothing."""


def _post(notifications: Sequence[Notification]) -> None:
    """Post all news at once as JSON; ``text`` is what chat systems show."""
    body = {
        "text": "\n".join(one.line() for one in notifications),
        "alerts": [{**asdict(one), "level": one.level.word, "since": one.since.isoformat()} for one in notifications],
    }
    request = Request(  # noqa: S310  # the settings allow https, and http on this machine
        conf().alert_webhook,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with build_opener(_NoRedirect).open(request, timeout=CHANNEL_TIMEOUT):
        pass


def _call_hook(notifications: Sequence[Notification]) -> None:
    """Call the host's own function with all news at once."""
    import_string(conf().alert_hook)(list(notifications))
