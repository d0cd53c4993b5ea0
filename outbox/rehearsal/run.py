"""The parent's side: ask a fresh process to rehearse, and go on behind what ends or holds up that process."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import IO, Any

from django.db import connections

from outbox import registry
from outbox.declared import Consumer
from outbox.errors import NotRehearsable
from outbox.models.said import storable
from outbox.operate.patch import NO_PATCH, Patch
from outbox.rehearsal.possible import is_promised, why_impossible
from outbox.rehearsal.results import Outcome, Result

START_SECONDS = 60.0
"""How long the child may take to load the project's code."""
MARGIN_SECONDS = 10.0
"""How much longer than its timeout a handler may hold up the child, before that is ended."""
LOOK_UP_SECONDS = 1.0
"""How often whoever waits for an answer looks up from it."""
SAID = 2_000
"""Characters of what a child has said on its standard error that are shown, its last."""


class _Ended(Exception):
    """The child ended, or was ended, before it had answered for all messages; the text says how."""


def rehearse(
    consumer_name: str, ids: Sequence[int], *, patch: Patch = NO_PATCH, meanwhile: Callable[[], object] = int
) -> Generator[Result]:
    """Rehearse each of these messages of a consumer by itself, and give the results one after the other.

    ``meanwhile`` is called about once a second while no result comes, and may raise to end it.

    Each is called as at its next attempt, with its payload as the ``patch`` changes it, and rolled back at once. A
    handler that ends its process or cannot be broken off has failed; a new process goes on with the rest. Closing the
    iterator ends the child. Raises ``NotRehearsable`` if the consumer has not promised it, if the database is not
    PostgreSQL, or if the child cannot begin.
    """
    consumer = rehearsable(consumer_name)
    left = dict.fromkeys(ids)
    while left:
        at = None
        try:
            with _child(consumer, list(left), patch, together=False, meanwhile=meanwhile) as answers:
                for answer in answers:
                    if "at" in answer:
                        at = answer["at"]
                        continue
                    result = Result.from_json(answer["result"])
                    left.pop(result.message_id, None)
                    at = None
                    yield result
        except _Ended as ended:
            if at is None:
                raise NotRehearsable(f"the rehearsal of {consumer_name} ended: {ended}") from ended
            left.pop(at)
            yield Result(at, Outcome.FAILED, str(ended), title=str(ended).partition("\n")[0])


def rehearse_together(
    consumer_name: str, ids: Sequence[int], *, patch: Patch = NO_PATCH, meanwhile: Callable[[], object] = int
) -> tuple[int, int]:
    """Rehearse one chunk of these messages in one transaction, each after what the others have written.

    Return how many go well, and of how many. Raises ``NotRehearsable`` as ``rehearse`` does.
    """
    try:
        with _child(rehearsable(consumer_name), ids, patch, together=True, meanwhile=meanwhile) as answers:
            [answer] = answers
            well, many = answer["together"]
    except _Ended as ended:
        raise NotRehearsable(f"the rehearsal of {consumer_name} ended: {ended}") from ended
    return well, many


def rehearsable(consumer_name: str) -> Consumer:
    """Return the consumer if it can be rehearsed here; else raise ``NotRehearsable``."""
    consumer = registry.get(consumer_name)
    if consumer is None:
        raise NotRehearsable(f"the running code has no consumer named {consumer_name}")
    if not is_promised(consumer_name):
        raise NotRehearsable(
            f"{consumer_name} has not promised that a rollback undoes what it does; its author says so by "
            "@consumer(..., rehearsable=True)"
        )
    if why := why_impossible():
        raise NotRehearsable(why)
    return consumer


@contextmanager
def _child(
    consumer: Consumer, ids: Sequence[int], patch: Patch, *, together: bool, meanwhile: Callable[[], object]
) -> Iterator[Iterator[dict[str, Any]]]:
    """Start a child and give its answers; it is ended with the block."""
    question = {
        "consumer": consumer.name,
        "ids": list(ids),
        "patch": patch.as_json(),
        "together": together,
        "databases": {alias: _as_json(connections[alias].settings_dict) for alias in connections},
    }
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        child = subprocess.Popen(  # our own module, no shell
            [sys.executable, "-m", "outbox.rehearsal.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        try:
            yield _answers(child, errors, consumer, question, many=1 if together else len(ids), meanwhile=meanwhile)
        finally:
            child.kill()
            child.communicate()


def _answers(
    child: "subprocess.Popen[str]",
    errors: IO[str],
    consumer: Consumer,
    question: dict[str, Any],
    *,
    many: int,
    meanwhile: Callable[[], object],
) -> Iterator[dict[str, Any]]:
    """Give ``many`` answers, and before each perhaps the message that is being called."""
    read: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_talk, args=(child, json.dumps(question, default=str), read), daemon=True).start()
    patience, left = START_SECONDS, many
    while left:
        line = _wait_for_line(read, patience, meanwhile)
        if line is None:
            raise _Ended(f"the handler did not end within {consumer.timeout}")
        if not line:
            child.wait()
            errors.seek(0)
            raise _Ended(f"the process ended ({_how(child.returncode)})\n{storable(errors.read()[-SAID:])}".strip())
        answer = json.loads(line)
        left -= "at" not in answer
        patience = consumer.timeout.total_seconds() + MARGIN_SECONDS
        yield answer


def _wait_for_line(read: "queue.SimpleQueue[str]", patience: float, meanwhile: Callable[[], object]) -> str | None:
    """Return the next line, or None if there was none for so long."""
    until = monotonic() + patience
    while (left := until - monotonic()) > 0:
        try:
            return read.get(timeout=min(left, LOOK_UP_SECONDS))
        except queue.Empty:
            meanwhile()
    return None


def _talk(child: "subprocess.Popen[str]", question: str, into: "queue.SimpleQueue[str]") -> None:
    """Ask, and pass on what is answered; an empty line is the end."""
    try:
        print(question, file=child.stdin, flush=True)
        for line in child.stdout or ():
            into.put(line)
    except (OSError, ValueError):
        pass  # the child ended, or was ended as nobody listens any more
    into.put("")


def _how(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit status {returncode}"


def _as_json(settings_dict: dict[str, Any]) -> dict[str, Any]:
    """Return a database's settings without what is this process's own: tests' and a pool of sessions."""
    options = {name: value for name, value in settings_dict["OPTIONS"].items() if name != "pool"}
    return {name: value for name, value in settings_dict.items() if name != "TEST"} | {"OPTIONS": options}
