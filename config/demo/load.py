"""Draws as a client of the JSON endpoint makes them: over HTTP, each repeated under its key until it is answered."""

import random
import time
from collections.abc import Iterator
from datetime import timedelta

import httpx

DRAW_ANSWER_TIMEOUT = timedelta(seconds=60)
PAUSE = timedelta(seconds=0.2)
PERSONS = 200


class DrawingFailed(Exception):
    """The endpoint refused a draw, or did not answer one within a minute."""


def wait_until_served(address: str, *, within: timedelta) -> None:
    """Wait until the site answers at ``address``, or raise ``DrawingFailed``."""
    until = time.monotonic() + within.total_seconds()
    problem = "nothing was tried"
    while time.monotonic() < until:
        try:
            response = httpx.get(address, timeout=5, trust_env=False)
        except httpx.TransportError as error:
            problem = repr(error)
        else:
            if response.is_success:
                return
            problem = f"status {response.status_code}"
        time.sleep(PAUSE.total_seconds())
    raise DrawingFailed(f"{address} does not serve after {within.total_seconds():.0f} s: {problem}")


def make_draws(address: str, *, run: str, number: int, seed: int) -> Iterator[bool]:
    """Make draws at the endpoint ``address`` and yield for each whether it won.

    ``seed`` decides who draws; the keys begin with ``run``. Raises ``DrawingFailed``.
    """
    persons = random.Random(seed)  # noqa: S311  # who draws in a demo is no secret
    with httpx.Client(timeout=10, trust_env=False) as client:
        for turn in range(number):
            person = f"person-{persons.randrange(PERSONS):03d}@example.org"
            yield _make_draw(client, address, key=f"{run}-{turn}", person=person)


def _make_draw(client: httpx.Client, address: str, *, key: str, person: str) -> bool:
    until = time.monotonic() + DRAW_ANSWER_TIMEOUT.total_seconds()
    while True:
        try:
            response = client.post(address, json={"person": person}, headers={"Idempotency-Key": key})
        except httpx.TransportError as error:
            problem = repr(error)
        else:
            if response.is_success:
                return bool(response.json()["outcome"] == "won")
            problem = f"status {response.status_code}: {response.text[:300]}"
            if response.status_code not in (408, 429) and response.status_code < 500:
                raise DrawingFailed(f"draw {key} was refused with {problem}")
        if time.monotonic() > until:
            raise DrawingFailed(
                f"draw {key} was not answered within {DRAW_ANSWER_TIMEOUT.total_seconds():.0f} s: {problem}"
            )
        time.sleep(PAUSE.total_seconds())
