"""Leases of calls under way, renewed by a thread that does nothing else: whatever holds up the others.

A call is ours as long as it lives and its time is not up. What was taken from us meanwhile is broken off; its result is
refused in any case.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from django.db import connections

from outbox.conf import conf
from outbox.delivery import sessions
from outbox.delivery.database_errors import DRIVER_ERRORS
from outbox.delivery.wide.calls import Call
from outbox.models.sql import calls as statements

log = logging.getLogger("outbox.delivery")

TIMES_IN_A_LEASE = 4
"""How often a lease is renewed while it lasts: a statement may be late, or fail once or twice."""


class Leases:
    """The thread that renews them."""

    def __init__(self, under_way: Callable[[], Sequence[Call]]) -> None:
        self._under_way = under_way
        self._end = threading.Event()
        threading.Thread(target=self._run, name="outbox.leases", daemon=True).start()

    def end(self) -> None:
        """Renew no more."""
        self._end.set()

    def _run(self) -> None:
        while not self._end.wait(conf().lease.total_seconds() / TIMES_IN_A_LEASE):
            try:
                self._renew(self._under_way())
            except DRIVER_ERRORS as error:
                log.warning("leases could not be renewed; it is tried again: %s", error)
                sessions.drop(connections[conf().database])
            except Exception:
                # The thread must go on: without it every call that takes longer would be made twice.
                log.exception("leases could not be renewed")
        connections.close_all()

    def _renew(self, calls: Sequence[Call]) -> None:
        sessions.restore_after_errors()
        alive = [call for call in calls if not call.given_up]
        if alive:
            ours = statements.renew_each([fence for call in alive for fence in call.fences], conf().lease)
            self._break_off([call for call in alive if not ours.intersection(fence.id for fence in call.fences)])
        if stuck := [fence for call in calls if call.given_up for fence in call.fences]:
            statements.hold_back(stuck, conf().lease)

    def _break_off(self, lost: Sequence[Call]) -> None:
        still = set(self._under_way())
        for call in lost:
            if call in still and call.is_held and not (call.ended or call.given_up or call.is_settling):
                call.is_held = False
                log.warning("%s: a call is no longer ours and is broken off", call.consumer.name)
                if call.cancel is not None:
                    call.cancel()
