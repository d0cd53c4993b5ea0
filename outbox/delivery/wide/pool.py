"""The pool of places of a worker process: one thread that settles what has ended and starts what there is room for.

It lives as long as its process and outlives the hints that wake it. The loop has four steps: start, settle, give up
what has taken too long, say how many places are taken. A free place is filled at once; no call waits for another. Where
many calls end in a second, the next are ready by then, with their rows started: else each place would be empty for a
round of the loop (of 200 ms a call, 0.81 of the calls of a bare loop were made).
"""

import logging
import os
import threading
from collections.abc import Sequence
from time import monotonic, sleep

from django.db import connections

from outbox.conf import conf
from outbox.declared import Consumer
from outbox.delivery import sessions, starting, strays
from outbox.delivery.database_errors import DRIVER_ERRORS, PAUSE
from outbox.delivery.wide import places, settlements, starts
from outbox.delivery.wide.calls import Call
from outbox.delivery.wide.lanes import Lane, Ticket
from outbox.delivery.wide.leases import Leases
from outbox.delivery.wide.loop import Loop
from outbox.delivery.wide.threads import Threads
from outbox.models.sql.calls import AHEAD, StartedCalls

log = logging.getLogger("outbox.delivery")

LINGER = 0.02
"""Seconds to gather what ends at about the same time, so that one statement settles it and one starts the next."""
HALF_AHEAD = AHEAD.total_seconds() / 2
TICK = 0.1
"""Seconds between two looks at calls that may have taken too long."""
PASS_ON_EVERY = 0.5
"""Seconds between two hints that are passed on as no place is free; where none is anywhere, none goes in circles."""
CANCEL_SECONDS = 2.0
"""How long an async handler has to end after it was cancelled, before its message is given up."""


class Pool:
    """Calls beside each other, of all consumers that have more than one place."""

    def __init__(self) -> None:
        self.worker = starting.new_name(os.getpid())
        self._lanes: dict[str, Lane] = {}
        self._ended: list[Call] = []
        """Calls whose places are free again, but which are still to be settled."""
        self._changed = threading.Condition()
        self._is_ending = False
        self._alone: Lane | None = None
        self._turn = 0
        self._threads = Threads(self._take_ended)
        self._loop: Loop | None = None
        self._leases = Leases(self.unsettled)
        self._thread = threading.Thread(target=self._run, name="outbox.pool", daemon=True)
        self._thread.start()

    def wake(self, consumer: Consumer, ids: Sequence[int]) -> Ticket:
        """Have a hint looked at: its rows first, then whatever else of the consumer is due."""
        ticket = Ticket(ids)
        if self._is_ending:
            ticket.done.set()
            return ticket
        with self._changed:
            lane = self._lanes.setdefault(consumer.name, Lane(consumer))
            lane.consumer = consumer
            lane.hints.append(ticket)
            self._changed.notify()
        return ticket

    def passes_on(self, consumer: Consumer, ticket: Ticket) -> bool:
        """Tell whether a hint is to be passed on: it has found no place free, and none was passed on just now."""
        with self._changed:
            lane = self._lanes.get(consumer.name)
            if lane is None or ticket.found_place or monotonic() - lane.passed_on_at < PASS_ON_EVERY:
                return False
            lane.passed_on_at = monotonic()
            return True

    def under_way(self) -> list[Call]:
        """Return the calls that have a place."""
        with self._changed:
            return [call for lane in self._lanes.values() for call in lane.calls]

    def unsettled(self) -> list[Call]:
        """Return the calls whose rows are ours: they are ready, under way or wait to be settled."""
        with self._changed:
            return [*(call for lane in self._lanes.values() for call in [*lane.calls, *lane.next]), *self._ended]

    @property
    def is_spoilt(self) -> bool:
        """Tell whether so many calls hang that the process should be replaced: half of a consumer's places."""
        return any(lane.stuck * 2 >= lane.consumer.concurrency for lane in list(self._lanes.values()) if lane.stuck)

    def begin_to_end(self) -> None:
        """Start nothing more. Called by a signal's handler, which may wait for no lock."""
        self._is_ending = True

    def end(self) -> None:
        """Start nothing more, and wait for the calls under way as long as they may take."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join()
        self._leases.end()

    def _take_ended(self, call: Call) -> None:
        with self._changed:
            lane = self._lanes[call.consumer.name]
            lane.note_end(call)
            self._ended.append(call)
            if len(self._ended) == 1:
                self._changed.notify()
            following = None if self._is_ending else lane.take_next()
        if following is not None:
            self._make([following])

    def _run(self) -> None:
        while not (self._is_ending and self._is_done()):
            try:
                self._wait_for_work()
                self._give_back_strays()
                self._start()
                self._settle()
                self._give_up_late()
                self._say_how_many()
            except DRIVER_ERRORS as error:
                log.warning("calls are neither started nor settled; it is tried again: %s", error)
                strays.expect()
                sessions.drop(connections[conf().database])
                sleep(PAUSE)
            except Exception:
                # The thread must go on, whatever happens to one round of it.
                log.exception("a round of the pool of calls failed")
                strays.expect()
                sleep(PAUSE)
        self._say_goodbye()
        connections.close_all()

    def _is_done(self) -> bool:
        """Tell whether nothing is left but calls that hang."""
        return not self._ended and all(call.given_up for call in self.under_way())

    def _wait_for_work(self) -> None:
        with self._changed:
            if not self._ended and not self._has_hints() and not self._wants_to_look():
                self._changed.wait(self._patience())
        if self.under_way():
            sleep(LINGER)

    def _has_hints(self) -> bool:
        return any(lane.hints for lane in self._lanes.values())

    def _wants_to_look(self) -> bool:
        return not self._is_ending and any(lane.wants_to_look() for lane in self._lanes.values())

    def _patience(self) -> float | None:
        """Return for how long nothing can happen but what wakes us."""
        lanes = self._lanes.values()
        waits = [lane.look_at - monotonic() for lane in lanes if lane.is_awake and lane.room]
        if any(lane.calls for lane in lanes) or self._alone or self._is_ending:
            waits.append(TICK)
        return max(0.0, min(waits)) if waits else None

    def _give_back_strays(self) -> None:
        strays.give_back(self.worker, held={fence.id for call in self.unsettled() for fence in call.fences})

    def _settle(self) -> None:
        with self._changed:
            ended = self._ended[:]
        if not ended:
            return
        sessions.restore_after_errors()
        settlements.settle([call for call in ended if not call.given_up])
        settlements.note_late([call for call in ended if call.given_up])
        with self._changed:
            del self._ended[: len(ended)]

    def _give_up_late(self) -> None:
        """Settle as timed out what does not end. Its place stays taken: something of it still runs."""
        now = monotonic()
        stands_still = self._loop is not None and self._loop.look()
        for call in self.under_way():
            if stands_still and call.consumer.is_async and not call.blocks:
                continue  # it is not its fault, and it is still ours
            grace = CANCEL_SECONDS if call.consumer.is_async else 0.0
            if call.given_up or call.ended or now < call.until + grace:
                continue
            call.given_up = True
            log.error("%s did not end within %s and is given up", call.consumer.name, call.consumer.timeout)
            settlements.settle_as_timed_out(call)

    def _start(self) -> None:
        if self._is_ending or self.is_spoilt:
            self._let_hints_go()
            self._give_back_ready(all_of_them=True)
            return
        for lane in list(self._lanes.values()):
            self._look_at_hints(lane)
        if self._alone or any(lane.suspects for lane in self._lanes.values()):
            self._give_back_ready(all_of_them=True)
            self._run_alone()
            return
        self._give_back_ready(all_of_them=False)
        for lane in self._in_turns():
            for _start in range(lane.starts_in_a_round):
                if lane.wants_to_look() and (room := self._room(lane)):
                    self._begin(lane, self._start_some(lane, room))

    def _give_back_ready(self, *, all_of_them: bool) -> None:
        """Give back what has been ready for too long and got no place, or all of it; measure the pace anew."""
        with self._changed:
            lanes = self._lanes.values()
            calls = [call for lane in lanes for call in lane.take_ready(all_of_them=all_of_them)]
            for lane in lanes:
                lane.set_pace()
        settlements.give_back(calls)

    def _in_turns(self) -> list[Lane]:
        """Return the lanes, beginning with another one each time, as all of them share the places of the process."""
        self._turn += 1
        lanes = list(self._lanes.values())
        first = self._turn % max(1, len(lanes))
        return [*lanes[first:], *lanes[:first]]

    def _room(self, lane: Lane) -> int:
        """Return how many rows of the consumer to start: for calls that may begin now, and for those to keep ready.

        None is kept ready where consumers share too few places: each free one is whoever's turn it is.
        """
        with self._changed:
            room = self._free_places(lane)
        if lane.consumer.at_most_once:
            return min(room, 1)
        wanted = sum(other.consumer.concurrency for other in self._lanes.values() if other.is_awake)
        return room + (lane.unready if wanted <= conf().places else 0)

    def _free_places(self, lane: Lane) -> int:
        """Return how many calls of the consumer may begin; all of them share the places of the process."""
        taken = sum(len(other.calls) for other in self._lanes.values())
        return max(0, min(lane.room, conf().places - taken))

    def _start_some(self, lane: Lane, room: int) -> StartedCalls:
        """Start what hints have named, then what else is due."""
        consumer = lane.consumer
        if lane.named:
            ids = lane.take_named(room * consumer.rows_in_call)
            started = starts.start_named(consumer, ids, places=room, worker=self.worker)
            if started.allowed < room and len(started.messages) >= started.allowed * consumer.rows_in_call:
                # What the rate does not allow yet is named again; what may not be started is not.
                begun = {message.pk for message in started.messages}
                lane.named.extendleft(id for id in reversed(ids) if id not in begun)
        else:
            started = starts.start_due(consumer, places=room, worker=self.worker)
            lane.has_more = len(started.messages) >= started.allowed * consumer.rows_in_call
            lane.looked_at = monotonic()
        # In time for calls to be started before theirs; late by a moment each time, the rate would not be reached.
        lane.look_at = monotonic() + max(0.0, started.next_in - HALF_AHEAD)
        return started

    def _look_at_hints(self, lane: Lane) -> None:
        with self._changed:
            hints, lane.hints = lane.hints, []
            found_place = self._free_places(lane) > 0
        if not hints:
            return
        lane.has_more, lane.look_at = True, 0.0
        named = [id for hint in hints for id in hint.ids]
        try:
            suspects = starts.suspects_among(named) if named else {}
        except DRIVER_ERRORS:
            # Nobody waits for a database that is away; the rows stay due.
            for hint in hints:
                hint.done.set()
            raise
        known = suspects.keys() | set(lane.named)
        lane.named.extend(id for id in dict.fromkeys(named) if id not in known)
        for hint in hints:
            hint.found_place = found_place
            hint.ids = [id for id in hint.ids if id in suspects]
            if hint.ids:
                lane.suspects.append(hint)
            else:
                hint.done.set()

    def _run_alone(self) -> None:
        """Run rows that workers were lost over, and nothing beside them: what ends the process is then one of them."""
        if any(not call.given_up for call in self.under_way()):
            return
        if self._alone is not None:
            self._alone.suspects.pop(0).done.set()
            self._alone = None
        lane = next((lane for lane in self._lanes.values() if lane.suspects), None)
        if lane is None:
            return
        started = starts.start_suspects(lane.consumer, lane.suspects[0].ids, worker=self.worker)
        if started.messages:
            self._alone = lane
            self._begin(lane, started)
        else:
            lane.suspects.pop(0).done.set()

    def _begin(self, lane: Lane, started: StartedCalls) -> None:
        consumer = lane.consumer
        size, rows = consumer.rows_in_call, started.messages
        groups = [(rows[at : at + size], started.waits[at]) for at in range(0, len(rows), size)]
        calls = [Call(consumer, group, wait=wait) for group, wait in groups]
        with self._changed:
            room = self._free_places(lane)
            lane.calls.update(calls[:room])
            lane.next.extend(calls[room:])
        self._make(calls[:room])

    def _make(self, calls: Sequence[Call]) -> None:
        """Make calls that have a place."""
        if not calls:
            return
        if not calls[0].consumer.is_async:
            for call in calls:
                self._threads.begin(call)
        else:
            self._loop = self._loop or Loop(self._take_ended)
            self._loop.begin(calls)

    def _let_hints_go(self) -> None:
        """Leave hints to others: their rows stay due."""
        with self._changed:
            for lane in self._lanes.values():
                for hint in [*lane.hints, *lane.suspects]:
                    hint.done.set()
                lane.hints, lane.suspects, lane.has_more = [], [], False
                lane.named.clear()

    def _say_how_many(self) -> None:
        for lane in list(self._lanes.values()):
            places.say(self.worker, lane)

    def _say_goodbye(self) -> None:
        try:
            self._give_back_ready(all_of_them=True)
            places.take_back(self.worker)
        except DRIVER_ERRORS as error:
            log.info("places of a process that ends are not taken back, its rows at the end of their lease: %s", error)
