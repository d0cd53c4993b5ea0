"""Judging what was measured: figures and limits in, sentences for people out. No database, no clock.

A finding that is in order is a finding too, and says what proves it: nothing is green because nobody has looked.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.conf import Conf
from outbox.monitoring.chain import judge_chain
from outbox.monitoring.finding import Finding, Level, What, in_words, worst
from outbox.monitoring.measurements import BURST, CAP, ConsumerMeasurements, Measurements, Planned
from outbox.policy import ZERO

__all__ = ["Finding", "Level", "What", "evaluate", "in_words", "many", "switched_off_sentence", "worst"]

BEHIND = timedelta(minutes=10)
"""How far the figures per minute may lag before charts mislead."""

DOUBLES_NAMED = 10
"""Messages issued twice that have a finding of their own each."""

BEING_DEPLOYED = timedelta(minutes=5)
"""How long a consumer may be missing because processes of the release before do not know it yet."""


def evaluate(measurements: Measurements, limits: Conf) -> list[Finding]:
    """Return every finding, the worst first."""
    findings = [
        *_rescan(measurements, limits),
        *_maintenance(measurements, limits),
        *_sessions(measurements, limits),
        *_double_issues(measurements),
        *_chain(measurements),
        *(finding for consumer in measurements.consumers for finding in _consumer(consumer, limits)),
    ]
    return sorted(findings, key=lambda finding: -finding.level)


def _rescan(measurements: Measurements, limits: Conf) -> Iterator[Finding]:
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


def _maintenance(measurements: Measurements, limits: Conf) -> Iterator[Finding]:
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


def _sessions(measurements: Measurements, limits: Conf) -> Iterator[Finding]:
    if not measurements.sessions_seen:
        return
    session = measurements.snapshot
    age = session.age if session else ZERO
    level = _level(warn=age > limits.snapshot_warning, alarm=age > limits.snapshot_critical)
    limit = limits.snapshot_critical if level is Level.CRITICAL else limits.snapshot_warning
    if session is not None and level:
        text = _(
            "A transaction of %(who)s (process %(pid)d) has been open for %(age)s, limit %(limit)s: vacuum cannot "
            "clean up, and everything slows down. End it, or have PostgreSQL do so: "
            "SELECT pg_terminate_backend(%(pid)d)."
        )
        words = {"who": session.who, "pid": session.pid, "age": in_words(age), "limit": in_words(limit)}
        sentence = text % words
    else:
        text = _("The oldest open snapshot of the database is %(age)s old (limit %(limit)s).")
        sentence = text % {"age": in_words(age), "limit": in_words(limit)}
    yield Finding(level, What.SNAPSHOT, sentence, "", age.total_seconds(), limit.total_seconds())
    limit = limits.idle_warning
    if measurements.idle:
        text = ngettext(
            "%(many)d session has been idle in a transaction for more than %(limit)s: it holds locks and keeps vacuum "
            "from cleaning up. Find out who holds it, and set idle_in_transaction_session_timeout.",
            "%(many)d sessions have been idle in a transaction for more than %(limit)s: they hold locks and keep "
            "vacuum from cleaning up. Find out who holds them, and set idle_in_transaction_session_timeout.",
            measurements.idle,
        )
    else:
        text = _("No session has been idle in a transaction for more than %(limit)s.")
    level = Level.WARNING if measurements.idle else Level.OK
    yield Finding(
        level, What.IDLE, text % {"many": measurements.idle, "limit": in_words(limit)}, "", measurements.idle, 0
    )


def _consumer(consumer: ConsumerMeasurements, limits: Conf) -> Iterator[Finding]:
    yield from _oldest(consumer, limits)
    yield from _held_back_findings(consumer, limits)
    yield from _failed_findings(consumer, limits)
    yield from _held_key(consumer, limits)
    yield from _failing(consumer, limits)
    yield from _stuck(consumer)


def _oldest(consumer: ConsumerMeasurements, limits: Conf) -> Iterator[Finding]:
    """Classify the age of what waits; of a consumer that is paused or not in the code, that is said instead."""
    age = consumer.oldest or ZERO
    level = _level(warn=age > limits.oldest_warning, alarm=age > limits.oldest_critical)
    if level and (consumer.paused_for is not None or not consumer.in_code):
        return
    limit = limits.oldest_critical if level is Level.CRITICAL else limits.oldest_warning
    words = {
        "name": consumer.name,
        "age": in_words(age),
        "limit": in_words(limit),
        "many": many(consumer.depth),
        "queue": f"{limits.prefix}.{consumer.name}",
    }
    if level and consumer.breaker_open:
        text = _(
            "%(name)s: oldest pending %(age)s, limit %(limit)s, waiting: %(many)s; what it needs is down or wants to "
            "be left alone."
        )
    elif level and consumer.rate:
        text = _(
            "%(name)s: oldest pending %(age)s, limit %(limit)s, waiting: %(many)s. It is called at most %(rate)s, so "
            "they take %(span)s at least. Is a worker on the queue %(queue)s, and do its attempts fail?"
        )
        words |= {"rate": str(consumer.rate), "span": in_words(consumer.depth * consumer.rate.interval)}
    elif level:
        text = _(
            "%(name)s: oldest pending %(age)s, limit %(limit)s, waiting: %(many)s. Is a worker on the queue %(queue)s, "
            "does it keep up, do its attempts fail or is it not ready?"
        )
    elif consumer.depth:
        text = _("%(name)s: oldest pending %(age)s (limit %(limit)s), waiting: %(many)s.")
    else:
        text = _("%(name)s: nothing waits.")
    seconds = None if consumer.oldest is None else age.total_seconds()
    yield Finding(level, What.OLDEST, text % words, consumer.name, seconds, limit.total_seconds())


def _held_back_findings(consumer: ConsumerMeasurements, limits: Conf) -> Iterator[Finding]:
    words = {"name": consumer.name, "many": many(consumer.depth)}
    if consumer.paused_for is not None:
        text = _("%(name)s: paused %(age)s ago by %(who)s (“%(why)s”), waiting: %(many)s.")
        words |= {"age": in_words(consumer.paused_for), "who": consumer.paused_by, "why": consumer.paused_reason}
        then = _("Resume it when the reason is gone.")
        if consumer.resumes_in is not None:
            then = _("It resumes by itself in %(span)s.") % {"span": in_words(consumer.resumes_in)}
        seconds = consumer.paused_for.total_seconds()
        yield Finding(Level.WARNING, What.PAUSED, f"{text % words} {then}", consumer.name, seconds)
    if consumer.breaker_open:
        text = _(
            "%(name)s: what it needs is down or wants to be left alone, the breaker is open, waiting: %(many)s, next "
            "probe in %(span)s. Look at the service behind it; the breaker closes by itself."
        )
        words |= {"span": in_words(max(consumer.probe_in or ZERO, ZERO))}
        yield Finding(Level.WARNING, What.BREAKER, text % words, consumer.name, consumer.depth)
    if not consumer.in_code and consumer.depth:
        left = max(limits.gone_after - (consumer.gone_for or ZERO), ZERO)
        words |= {"span": in_words(left)}
        if (consumer.gone_for or ZERO) < BEING_DEPLOYED:
            text = _(
                "%(name)s: not in the running code, waiting: %(many)s. If it is just being deployed, this is over with "
                "the last process that runs the code before. If not: a worker knows what an app's consumers.py imports."
            )
            yield Finding(Level.WARNING, What.GONE, text % words, consumer.name, consumer.depth, 0)
            return
        text = _(
            "%(name)s: not in the running code, waiting: %(many)s, to fail in %(span)s. Deploy the consumer again: in "
            "an app's consumers.py, under this name (name= keeps it where its function is renamed)."
        )
        yield Finding(Level.CRITICAL, What.GONE, text % words, consumer.name, consumer.depth, 0)


def _failed_findings(consumer: ConsumerMeasurements, limits: Conf) -> Iterator[Finding]:
    failed = consumer.exhausted
    level = _level(warn=failed >= limits.exhausted_warning, alarm=failed >= limits.exhausted_critical)
    limit = limits.exhausted_critical if level is Level.CRITICAL else limits.exhausted_warning
    words = {"name": consumer.name, "many": many(failed), "limit": limit}
    if level:
        text = _(
            "%(name)s: failed and waiting for a person: %(many)s, limit %(limit)d. See to them at the desk, or by "
            "manage.py outbox_retry."
        )
    else:
        text = _("%(name)s: failed and waiting for a person: %(many)s (limit %(limit)d).")
    yield Finding(level, What.EXHAUSTED, text % words, consumer.name, failed, limit)
    if consumer.new_exhausted >= limits.burst_critical:
        text = _(
            "%(name)s: failed for good within %(span)s: %(many)s, limit %(limit)d. Look at the failure groups, and "
            "pause the consumer if going on makes it worse."
        )
        words |= {"many": many(consumer.new_exhausted), "span": in_words(BURST), "limit": limits.burst_critical}
        measurements = (consumer.new_exhausted, limits.burst_critical)
        yield Finding(Level.CRITICAL, What.BURST, text % words, consumer.name, *measurements)


def _held_key(consumer: ConsumerMeasurements, limits: Conf) -> Iterator[Finding]:
    """Tell which ordering key a failed message has held up for longest, and how to let the others go on."""
    held = consumer.held
    if held is None:
        return
    text = _(
        "%(name)s: the ordering key “%(key)s” is held by message %(id)s, which failed %(age)s ago, waiting behind it: "
        "%(many)s. See to that one at the desk: they go on once it has succeeded, was marked as handled or discarded."
    )
    words = {
        "name": consumer.name,
        "key": held.key,
        "id": held.message,
        "age": in_words(held.held_for),
        "many": many(held.behind),
    }
    sentence = text % words
    if others := consumer.held_keys - 1:
        more = ngettext("%(others)d other key is held as well.", "%(others)d other keys are held as well.", others)
        sentence = f"{sentence} {more % {'others': others}}"
    level = Level.CRITICAL if held.held_for > limits.oldest_critical else Level.WARNING
    seconds = (held.held_for.total_seconds(), limits.oldest_critical.total_seconds())
    yield Finding(level, What.HELD, sentence, consumer.name, *seconds)


def _chain(measurements: Measurements) -> Iterator[Finding]:
    yield from judge_chain(measurements.chain, known_for=measurements.known_for, plan=measurements.plan("audit"))


def _double_issues(measurements: Measurements) -> Iterator[Finding]:
    """Tell of each message that was issued twice, so that people hear of each once; of very many, of the rest."""
    found = measurements.double_issues
    for one in found[:DOUBLES_NAMED]:
        text = _(
            "%(name)s: message %(id)s was issued by hand (%(evidence)s) and by the machine as well. Ask the other "
            "side, take one back, then acknowledge it at the message."
        )
        words = {"name": one.consumer, "id": one.message, "evidence": one.evidence or "…"}
        yield Finding(Level.CRITICAL, What.DOUBLED, text % words, str(one.message), 1, 0)
    if (more := len(found) - DOUBLES_NAMED) > 0:
        text = _("Issued by hand and by the machine as well, beside those that are named: %(many)s.")
        yield Finding(Level.CRITICAL, What.DOUBLED, text % {"many": many(more)}, "", more, 0)


def _failing(consumer: ConsumerMeasurements, limits: Conf) -> Iterator[Finding]:
    failed, limit = consumer.failed_attempts, limits.failing_warning
    if consumer.succeeded or failed < limit:
        return
    text = _(
        "%(name)s: every attempt of the last %(span)s failed, %(many)d of %(many)d (limit %(limit)d). Look at the "
        "failure groups: is it the newest release, or what the consumer talks to?"
    )
    words = {"name": consumer.name, "span": in_words(BURST), "many": failed, "limit": limit}
    yield Finding(Level.WARNING, What.FAILING, text % words, consumer.name, failed, limit)


def _stuck(consumer: ConsumerMeasurements) -> Iterator[Finding]:
    if not consumer.stuck:
        return
    text = ngettext(
        "%(name)s: %(many)d call was given up at its timeout and still runs; it keeps one of %(places)d places. Give "
        "what the handler calls a timeout of its own. A process in which half of its calls hang is replaced.",
        "%(name)s: %(many)d calls were given up at their timeout and still run; they keep as many of %(places)d "
        "places. Give what the handler calls a timeout of its own. A process in which half of its calls hang is "
        "replaced.",
        consumer.stuck,
    )
    words = {"name": consumer.name, "many": consumer.stuck, "places": consumer.places}
    yield Finding(Level.WARNING, What.STUCK, text % words, consumer.name, consumer.stuck, 0)


def _level(*, warn: bool, alarm: bool) -> Level:
    if alarm:
        return Level.CRITICAL
    return Level.WARNING if warn else Level.OK


def many(messages: int) -> str:
    """Return a count of messages in words, and honestly where counting has stopped."""
    if messages >= CAP:
        return _("more than %(count)s messages") % {"count": number_format(CAP - 1, force_grouping=True)}
    count = number_format(messages, force_grouping=True)
    return ngettext("%(count)s message", "%(count)s messages", messages) % {"count": count}
