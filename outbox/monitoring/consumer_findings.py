"""Judging what was measured of a consumer: what waits, is held back, has failed or hangs."""

from collections.abc import Iterator
from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox import registry
from outbox.conf import Conf
from outbox.monitoring.finding import Finding, Level, What, in_words, level_of, many
from outbox.monitoring.measurements import BURST, ConsumerMeasurements
from outbox.policy import ZERO

BEING_DEPLOYED = timedelta(minutes=5)
"""How long a consumer may be missing because processes of the release before do not know it yet."""


def judge_consumer(consumer: ConsumerMeasurements, limits: Conf) -> Iterator[Finding]:
    """Tell of what waits, is held back, has failed or hangs of one consumer."""
    yield from _oldest(consumer, limits)
    yield from _held_back_findings(consumer, limits)
    yield from _failed_findings(consumer, limits)
    yield from _held_key(consumer, limits)
    yield from _failing(consumer, limits)
    yield from _stuck(consumer)


def _oldest(consumer: ConsumerMeasurements, limits: Conf) -> Iterator[Finding]:
    """Classify the age of what waits; of a consumer that is paused or not in the code, that is said instead."""
    age = consumer.oldest or ZERO
    level = level_of(warn=age > limits.oldest_warning, alarm=age > limits.oldest_critical)
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
    elif level and consumer.not_ready is not None:
        text = _(
            "%(name)s: oldest pending %(age)s, limit %(limit)s, waiting: %(many)s. Its consumer was not ready for "
            "message %(message)s, which is tried next; that one's page says what it waits for."
        )
        words |= {"message": str(consumer.not_ready)}
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
        entry = registry.get(consumer.name)
        if entry is not None and entry.relay is not None:
            words |= {"destination": entry.relay.destination}
            text = _(
                "%(name)s: the broker does not take what is forwarded (%(destination)s), the breaker is open, waiting: "
                "%(many)s, next probe in %(span)s. The last attempts say why; the breaker closes by itself."
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
    level = level_of(warn=failed >= limits.exhausted_warning, alarm=failed >= limits.exhausted_critical)
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
