"""Async handlers: one event loop for the process, and one thread for what they do with the ORM.

That thread has one session, which all of them share. So nothing may be left open on it from one function to the next: a
transaction that one call has open would take in what others write, and take it back. Each function is judged when it
ends, and what it has left open is its own failure.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.db import connections

from outbox import logs
from outbox.delivery import execution, non_atomic, sessions
from outbox.delivery.database_errors import DRIVER_ERRORS
from outbox.delivery.non_atomic import CallCancelled, Ended, Settlement
from outbox.delivery.time_limits import CallTimedOut, took_longer
from outbox.delivery.wide.calls import Call
from outbox.errors import LeftOpenError

log = logging.getLogger("outbox.delivery")


CANCELLED = "the call was cancelled by somebody else on its event loop"
STOOD_STILL = "the event loop stood still for %.0f s: another async handler of this process did not await"
STANDS_STILL = 1.0
"""Seconds without a turn after which the loop is taken to stand still."""


class OrmThread(ThreadPoolExecutor):
    """The thread in which async handlers use the ORM: whatever they give to ``sync_to_async``, one after another."""

    def __init__(self) -> None:
        super().__init__(max_workers=1, thread_name_prefix="outbox.orm")

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Call ``function`` in the thread, and have its sessions as new ones are afterwards, whatever it did."""
        return super().submit(self._call, function, args, kwargs)

    def _call(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
            left = self._close_what_is_left_open()
        except BaseException:
            self._close_what_is_left_open()
            raise
        finally:
            sessions.restore()
        if left:
            raise LeftOpenError(non_atomic.LEFT_OPEN.format(where=", ".join(left)))
        return result

    @staticmethod
    def _close_what_is_left_open() -> list[str]:
        left = [each for each in connections.all(initialized_only=True) if non_atomic.is_left_open(each)]
        for connection in left:
            non_atomic.close(connection)
        return [connection.alias for connection in left]


class Loop:
    """The event loop of a process, in a thread of its own."""

    def __init__(self, ended: Callable[[Call], None]) -> None:
        self._ended = ended
        self._orm = OrmThread()
        self._context = ThreadSensitiveContext()
        SyncToAsync.context_to_thread_executor[self._context] = self._orm
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[asyncio.Task[None], Call] = {}
        self._asked_at: float | None = None
        """Since when the loop has been asked for a turn that it has not taken."""
        self._stood_still = 0.0
        """Seconds that the loop has stood still, all in all."""
        threading.Thread(target=self._run_for_ever, name="outbox.loop", daemon=True).start()

    def _run_for_ever(self) -> None:
        while True:
            self._loop.run_forever()
            log.error("a handler stopped the event loop that all calls of its process share; it goes on")

    def look(self) -> bool:
        """Tell whether the loop stands still, and note which call holds it up."""
        asked_at = self._asked_at
        if asked_at is None:
            self._asked_at = monotonic()
            self._loop.call_soon_threadsafe(self._take_turn)
            return False
        if monotonic() - asked_at < STANDS_STILL:
            return False
        task = asyncio.current_task(self._loop)
        if task is not None and (guilty := self._tasks.get(task)) is not None and not guilty.blocks:
            guilty.blocks = True
            log.error(
                "%s holds up the event loop that all async handlers of its process share; it must await, or be a plain "
                "function",
                guilty.consumer.name,
            )
        return True

    def _take_turn(self) -> None:
        self._stood_still += self._standing_still()
        self._asked_at = None

    def _standing_still(self) -> float:
        """Return for how many seconds the loop stands still now; 0 for less than counts."""
        span = 0.0 if self._asked_at is None else monotonic() - self._asked_at
        return span if span > STANDS_STILL else 0.0

    def begin(self, calls: Sequence[Call]) -> None:
        """Make the calls, each as soon as its time has come."""
        self._loop.call_soon_threadsafe(self._begin, calls)

    def _begin(self, calls: Sequence[Call]) -> None:
        SyncToAsync.thread_sensitive_context.set(self._context)
        for call in calls:
            task = self._loop.create_task(self._run(call))
            call.cancel = partial(self._cancel, task)
            self._tasks[task] = call
            task.add_done_callback(self._finish)

    def _stood_since(self, before: float) -> float:
        """Return for how many seconds the loop has stood still since then, up to this moment."""
        return self._stood_still - before + self._standing_still()

    def _cancel(self, task: asyncio.Task[None]) -> None:
        self._loop.call_soon_threadsafe(task.cancel)

    async def _run(self, call: Call) -> None:
        try:
            if (wait := call.at - monotonic()) > 0:
                await asyncio.sleep(wait)
            with logs.at_work_on(*call.messages):
                call.ended = await self._make(call)
        except asyncio.CancelledError:
            pass  # by somebody else, after the handler had ended or before it began
        except BaseException as error:
            # Whatever a handler raises must not end the loop.
            call.ended = [Ended(execution.classify(message, error)) for message in call.messages]

    def _finish(self, task: asyncio.Task[None]) -> None:
        """Hand a call on whose task has ended; one that was cancelled before its first step never ran."""
        call = self._tasks.pop(task)
        if not call.ended:
            reports = [execution.classify(message, CallCancelled(CANCELLED)) for message in call.messages]
            spent = call.consumer.at_most_once
            call.ended = [Ended(report if spent else non_atomic.interrupted(report)) for report in reports]
        self._ended(call)

    async def _make(self, call: Call) -> list[Ended]:
        if call.consumer.bulk:
            work = execution.hand_out(call.messages)
            error = await self._call(call, work)
            reports = execution.reports_on(call.messages, error)
            free = sync_to_async(non_atomic.as_free_where_the_database_was_in_the_way)
            return [Ended(await free(report) if report.exception else report) for report in reports]
        [message] = call.messages
        settlement = message.settlement = Settlement(message)
        error = await self._call(call, execution.for_handler(message))
        if isinstance(error, (*DRIVER_ERRORS, CallCancelled)):
            return [await sync_to_async(non_atomic.judge)(call.consumer, message, settlement, error)]
        return [non_atomic.judge(call.consumer, message, settlement, error)]

    async def _call(self, call: Call, work: Any) -> BaseException | None:
        """Await the handler within its timeout; return what it raised."""
        before = self._stood_still
        try:
            async with asyncio.timeout(call.until - monotonic()) as limit:
                left = await call.consumer.handler(work)  # type: ignore[misc]  # it is async
                execution.refuse_what_was_returned(call.consumer, left)
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling() and not limit.expired():
                task.uncancel()
                return CallCancelled(CANCELLED) if call.is_held else error
            if limit.expired() and not call.blocks and (stood := self._stood_since(before)):
                return CallCancelled(STOOD_STILL % stood)
            if limit.expired():
                late = CallTimedOut(took_longer(call.consumer))
                late.__cause__ = error
                return late
            return error
        return None
