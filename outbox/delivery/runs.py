"""Runs: messages of one ordering key that were started together, and are called one after the other.

The first of a run holds its key. A message is called only in a transaction that has locked whoever holds its key, so
two workers never call messages of one key at once: not even if one is taken for dead, wakes up, and finds some of its
run still its own. Where the rows of a run are settled one by one, each hands the key on to the next. Where one does not
succeed, the rest of its key is given back.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from outbox.declared import Consumer
from outbox.delivery.execution import Report
from outbox.delivery.starting import LONG_RUN
from outbox.models import Fence, Message
from outbox.policy import ZERO, Succeeded


def part(fences: Sequence[Fence], messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """Divide those of ``fences`` that were locked into what may be called and what must go back.

    Of a run that is what goes from its first, which must hold the key, up to the first that is no longer ours.
    """
    if not any(fence.ordering_key for fence in fences):
        return list(messages), []
    ours = {message.fence: message for message in messages}
    ends: dict[str, bool] = {}
    for fence in sorted(fences):
        if key := fence.ordering_key:
            message = ours.get(fence)
            goes_on = message is not None and (message.holds_key if key not in ends else not ends[key])
            ends[key] = not goes_on
            if not goes_on:
                ours.pop(fence, None)
    may_be_called = [message for message in messages if message.fence in ours]
    return may_be_called, [message for message in messages if message.fence not in ours]


def oldest_first(messages: Sequence[Message]) -> list[Message]:
    """Return the messages, the oldest first; all messages of a run count as old as its first."""
    heads = {message.ordering_key: message for message in messages if message.holds_key}
    ages = [heads.get(message.ordering_key, message) for message in messages]
    pairs = sorted(zip(ages, messages, strict=True), key=lambda pair: (pair[0].due_at, pair[0].pk, pair[1].pk))
    return [message for _age, message in pairs]


def in_order(messages: Sequence[Message]) -> list[Message]:
    """Return the messages as they are sorted, with those of each ordering key put back into their own order."""
    by_key: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        by_key[message.ordering_key].append(message)
    turns = {key: iter(sorted(of_key, key=lambda message: message.pk)) for key, of_key in by_key.items() if key}
    return [next(turns[message.ordering_key]) if message.ordering_key else message for message in messages]


def hand_on(reports: Iterable[Report], rest: Sequence[Fence]) -> list[Fence]:
    """Let the first of ``rest`` of each key hold it, if the one before it has succeeded; else give the rest back.

    In the transaction that settles the ``reports``. Return what is left of ``rest``.
    """
    succeeded = {
        report.message.ordering_key: isinstance(report.outcome, Succeeded)
        for report in reports
        if report.message.ordering_key
    }
    if not succeeded:
        return list(rest)
    firsts = {fence.ordering_key: fence for fence in sorted(rest, reverse=True) if succeeded.get(fence.ordering_key)}
    if firsts:
        Message.objects.held(firsts.values()).hold_key()
    given_back = [fence for fence in rest if succeeded.get(fence.ordering_key) is False]
    if given_back:
        Message.objects.held(given_back).mark_pending(wait=ZERO, free=True, lost=0, error=None)
    return [fence for fence in rest if succeeded.get(fence.ordering_key) is not False]


def keys_to_go_on_with(consumer: Consumer, reports: Sequence[Report]) -> set[str]:
    """Return the ordering keys of a chunk that was full of long runs, all of which have succeeded; else none."""
    keys = {report.message.ordering_key for report in reports}
    is_full = len(reports) >= consumer.chunk and len(keys) * LONG_RUN <= consumer.chunk and "" not in keys
    return keys if is_full and all(isinstance(report.outcome, Succeeded) for report in reports) else set()
