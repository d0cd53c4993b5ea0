"""Judging the chores: whether they run, what the last rescan met, and what people have switched off."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from outbox.conf import Conf
from outbox.monitoring.broker_findings import alarms
from outbox.monitoring.finding import Finding, Level, What, in_words, many
from outbox.monitoring.measurements import Measurements, Planned
from outbox.policy import ZERO

BEHIND = timedelta(minutes=10)
"""How far the figures per minute may lag before charts mislead."""


def judge_rescan(measurements: Measurements, limits: Conf) -> Iterator[Finding]:
    """Tell whether the rescan runs; if it does, what of its work has failed, and what the broker has refused."""
    plan = measurements.plan("rescan")
    limit = limits.rescan_limit + plan.later
    words = {"limit": in_words(limit), "queue": f"{limits.prefix}.control"}
    if plan.switched_off:
        age = None if measurements.rescan is None else measurements.rescan.total_seconds()
        sentence = switched_off_sentence("rescan", plan)
        yield Finding(Level.CRITICAL, What.RESCAN, sentence, "", age, limit.total_seconds())
        return
    if measurements.rescan is None:
        text = _("The rescan has never succeeded: start celery-beat and a worker on the queue %(queue)s.")
        if measurements.cause:
            text = _("The rescan has never succeeded.")
        said = f"{text % words} {measurements.cause}".strip()
        yield Finding(Level.CRITICAL, What.RESCAN, said, limit=limit.total_seconds())
        return
    words["age"] = in_words(measurements.rescan)
    seconds = (measurements.rescan.total_seconds(), limit.total_seconds())
    if measurements.rescan > limit:
        text = _("The rescan last succeeded %(age)s ago, limit %(limit)s: what is unfinished is not sent again.")
        cause = measurements.cause or _("Is celery-beat running, and a worker on the queue %(queue)s?") % words
        yield Finding(Level.CRITICAL, What.RESCAN, f"{text % words} {cause}", "", *seconds)
        return
    if measurements.covered is not None:
        text = _("A worker had to do the rescan %(age)s ago.") % {"age": in_words(measurements.covered)}
        yield Finding(Level.WARNING, What.RESCAN, f"{text} {measurements.cause}".strip(), "cover")
    text = _("The rescan last succeeded %(age)s ago (limit %(limit)s).")
    yield Finding(Level.OK, What.RESCAN, text % words, "", *seconds)
    yield from (_failing_search(name, error) for name, error in sorted(measurements.failing.items()))
    yield from (
        _refusal(queue, limits.prefix, **words) for queue, words in sorted(measurements.refused.items()) if queue
    )
    yield from (_dropping(queue, **words) for queue, words in sorted(measurements.dropped.items()))
    if door := measurements.refused.get(""):
        yield _closed_door(**door)
    elif measurements.alarmed and _is_alarm_named(measurements):
        # The look at the broker says which node, and what it has run out of.
        return
    elif measurements.alarmed:
        text = _(
            "RabbitMQ takes nothing, as its memory or its disk is full: messages wait in the table, none is lost. See "
            "which: rabbitmq-diagnostics alarms"
        )
        yield Finding(Level.CRITICAL, What.BROKER, text)
    elif measurements.distrusted:
        text = _("There is no TLS with RabbitMQ: %(said)s. Messages wait in the table, none is lost.")
        yield Finding(Level.CRITICAL, What.BROKER, text % {"said": measurements.distrusted})
    elif measurements.broker_away:
        text = _(
            "The broker did not answer at the last rescan: messages wait in the table, none is lost. Look at RabbitMQ: "
            "is it running, does it raise a memory or disk alarm?"
        )
        yield Finding(Level.CRITICAL, What.BROKER, text)
    elif not measurements.refused:
        yield Finding(Level.OK, What.BROKER, _("The last rescan had no trouble with the broker."))


def _is_alarm_named(measurements: Measurements) -> bool:
    broker = measurements.broker
    return broker is not None and broker.is_known and any(alarms(broker.look))


def switched_off_sentence(chore: str, plan: Planned) -> str:
    """Say that a person has switched a chore off, who it may have been, and what does not happen meanwhile."""
    words = {"entry": plan.switched_off, "who": plan.changed_by, "age": in_words(plan.changed_ago or ZERO)}
    off = _("The entry “%(entry)s” of celery-beat is switched off") % words
    if plan.changed_by:
        off = _("%(off)s, last changed in the admin by %(who)s %(age)s ago") % {"off": off, **words}
    match chore:
        case "rescan":
            text = _("%(off)s: what is unfinished is not sent again, and workers do not cover for it. Switch it on.")
        case "alerts":
            text = _("%(off)s: nobody is told what is wrong. Switch it on.")
        case "audit":
            text = _("%(off)s: nobody notices when the audit is tampered with. Switch it on.")
        case "books":
            text = _("%(off)s: nobody notices when business and messages disagree. Switch it on.")
        case "prune":
            text = _("%(off)s: settled messages are not deleted, and the table grows. Switch it on.")
        case _:
            text = _("%(off)s: charts and metrics stand still. Switch it on.")
    return text % {"off": off}


def _failing_search(name: str, error: str) -> Finding:
    words = {"name": name, "error": error}
    if name:
        text = _(
            "%(name)s: the rescan failed for it (%(error)s); the other consumers were served. Look at the traceback in "
            "the control worker's log."
        )
    else:
        text = _(
            "The search for lost leases and passed deadlines failed (%(error)s); what is due was sent. Look at the "
            "traceback in the control worker's log."
        )
    return Finding(Level.WARNING, What.RESCAN, text % words, name or "search")


def _refusal(queue: str, prefix: str, *, code: int, **words: Any) -> Finding:
    match code:
        case 403:
            text = _(
                "RabbitMQ denies “%(user)s” the queue %(queue)s (%(said)s): its messages wait in the table. Give it "
                "the rights to configure, write and read: rabbitmqctl set_permissions -p '%(vhost)s' '%(user)s' "
                "'^%(prefix)s\\.' '^(%(prefix)s\\.|amq\\.default)' '^%(prefix)s\\.', with what else it needs."
            )
        case 406:
            text = _(
                "RabbitMQ has a queue %(queue)s with other properties (%(said)s): its messages wait in the table. "
                "Delete it, and it is made anew: rabbitmqctl -p '%(vhost)s' delete_queue '%(queue)s'"
            )
        case _:
            text = _(
                "RabbitMQ refuses the queue %(queue)s (%(said)s): its messages wait in the table. See how it is: "
                "rabbitmqctl -p '%(vhost)s' list_queues name type state owner_pid"
            )
    words |= {"queue": queue, "prefix": re.escape(prefix)}
    return Finding(Level.CRITICAL, What.QUEUE, text % words, queue)


def _dropping(queue: str, *, reason: str, vhost: str) -> Finding:
    match reason:
        case "expired":
            why = _("their time is over before a worker takes them")
        case _:
            why = _("more of them are waiting than it may hold")
    text = _(
        "RabbitMQ drops hints of the queue %(queue)s (%(why)s), as a policy laid over it says: its messages are sent "
        "again, and only slower. See which policy, and take it off: rabbitmqctl -p '%(vhost)s' list_queues name policy "
        "operator_policy; rabbitmqctl -p '%(vhost)s' clear_policy NAME"
    )
    return Finding(Level.WARNING, What.QUEUE, text % {"queue": queue, "why": why, "vhost": vhost}, queue)


def _closed_door(*, code: int, **words: Any) -> Finding:
    if code == 403:
        text = _(
            "RabbitMQ does not accept “%(user)s” and the password (%(said)s): messages wait in the table, none is "
            "lost. Correct them in Celery's broker_url, or set the password: rabbitmqctl change_password '%(user)s'"
        )
    else:
        text = _(
            "RabbitMQ does not let “%(user)s” into the vhost %(vhost)s (%(said)s): messages wait in the table, none is "
            "lost. Make it, or let the user in: rabbitmqctl add_vhost '%(vhost)s'; rabbitmqctl set_permissions -p "
            "'%(vhost)s' '%(user)s' '.*' '.*' '.*'"
        )
    return Finding(Level.CRITICAL, What.BROKER, text % words)


def judge_maintenance(measurements: Measurements, limits: Conf) -> Iterator[Finding]:
    """Tell of each other chore whether it runs, and what it cannot do."""
    for chore, age in sorted(measurements.maintenance_jobs.items()):
        plan = measurements.plan(chore)
        limit = limits.maintenance_limit + plan.later
        if plan.switched_off:
            seconds = None if age is None else age.total_seconds()
            sentence = switched_off_sentence(chore, plan)
            yield Finding(Level.WARNING, What.MAINTENANCE, sentence, chore, seconds, limit.total_seconds())
            continue
        words = {"chore": chore, "limit": in_words(limit), "age": in_words(age) if age is not None else ""}
        if age is None and measurements.known_for <= limit:
            text = _(
                "The chore “%(chore)s” has not succeeded yet; it is expected within %(limit)s of the first rescan."
            )
        elif age is None:
            text = _("The chore “%(chore)s” has never succeeded: is its entry in celery-beat there and enabled?")
        elif age > limit:
            text = _(
                "The chore “%(chore)s” last succeeded %(age)s ago, limit %(limit)s: look at its entry in celery-beat "
                "and at the control worker's log."
            )
        else:
            text = _("The chore “%(chore)s” last succeeded %(age)s ago (limit %(limit)s).")
        seconds = None if age is None else age.total_seconds()
        level = Level.OK if (measurements.known_for if age is None else age) <= limit else Level.WARNING
        yield Finding(level, What.MAINTENANCE, text % words, chore, seconds, limit.total_seconds())
    if measurements.behind > BEHIND:
        words = {"behind": in_words(measurements.behind)}
        text = _("The charts are %(behind)s behind; they catch up by themselves while the chore “rollup” runs.")
        seconds_behind = (measurements.behind.total_seconds(), BEHIND.total_seconds())
        yield Finding(Level.WARNING, What.MAINTENANCE, text % words, "charts", *seconds_behind)
    if measurements.failed_channels:
        words = {"channels": ", ".join(measurements.failed_channels)}
        text = _("The last alerts could not be sent by: %(channels)s. Look at the control worker's log.")
        yield Finding(Level.WARNING, What.MAINTENANCE, text % words, "channels")
    if measurements.protected:
        text = _(
            "%(messages)s older than they are kept for cannot be deleted: rows of other apps protect them. Delete "
            "those rows, or change on_delete of their foreign key."
        )
        yield Finding(Level.WARNING, What.MAINTENANCE, text % {"messages": many(measurements.protected)}, "protected")
