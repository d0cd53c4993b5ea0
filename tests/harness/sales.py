"""A flash sale in whose middle Redis, workers and the web server are killed, for tests and trials."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from tests.harness.installation import Installation
from tests.harness.ports import free_port
from tests.harness.program import ROOT, Program, eventually
from tests.harness.redis_server import RedisServer
from tests.harness.shoppers import Shoppers

KINDS = ("redis killed", "redis flushed", "redis failed over", "worker killed", "web killed")
PIECES_BETWEEN = 40
"""Pieces that are sold from one fault to the next."""
COME_TOO_LATE = 30
"""People for whom there is no piece."""
ENVIRONMENT = {"SECURE_SSL_REDIRECT": "0"}
OPEN = """
import django; django.setup()
from datetime import timedelta
from decimal import Decimal
from django.utils import timezone
from awards.models import Campaign, Kind, Prize, Sale, SaleState
from awards.sale.warming import warm
now = timezone.now()
campaign = Campaign.objects.create(slug="sale", name="Sale", access="open", starts_at=now - timedelta(hours=1),
    ends_at=now + timedelta(hours=1), draws_per_person=1)
Prize.objects.create(campaign=campaign, name="50 points", kind=Kind.POINTS, value=Decimal(50), stock=%d)
sale = Sale.objects.create(campaign=campaign, stock_in="redis")
Sale.objects.switch(sale, SaleState.WARMING)
assert warm(sale.pk)
"""
OPEN_HALVES = "SELECT count(*) FROM outbox_half WHERE state NOT IN ('published', 'taken_back')"
OPEN_MESSAGES = (
    "SELECT count(*) FROM outbox_message WHERE status IN ('pending', 'started')"
    " AND (topic LIKE 'stock.%%' OR topic = 'sale.warm')"
)


@dataclass
class Sold:
    """A sale that is over, what was done to it, and what is asked of it afterwards."""

    installation: Installation
    shoppers: Shoppers
    pieces: int
    people: int
    faults: "Counter[str]" = field(default_factory=Counter)
    served_between: list[int] = field(default_factory=list)
    """How many had been answered at each fault."""

    @property
    def epochs(self) -> int:
        """How often it was prewarmed."""
        return self.installation.count("SELECT epoch FROM awards_sale")

    @property
    def won(self) -> dict[str, str]:
        """Which award each was told to have won."""
        told = self.shoppers.told.items()
        return {name: answer["award"]["id"] for name, [answer] in told if answer.get("outcome") == "won"}

    @property
    def awards(self) -> dict[str, str]:
        """Which award each has."""
        return dict(self.installation.rows("SELECT person, public_id::text FROM awards_award"))

    @property
    def piece_numbers(self) -> list[int]:
        """The piece of each award."""
        return [piece for (piece,) in self.installation.rows("SELECT piece FROM awards_award")]

    @property
    def left(self) -> int:
        """How many pieces are left."""
        return self.installation.count("SELECT stock FROM awards_prize")

    @property
    def halves(self) -> dict[str, int]:
        """How many pieces were taken, by what became of that."""
        return dict(self.installation.rows("SELECT state, count(*) FROM outbox_half GROUP BY state"))

    @property
    def given_back(self) -> int:
        """How many pieces were given back."""
        return self.installation.count("SELECT count(*) FROM outbox_message WHERE topic = 'stock.given_back'")

    @property
    def unwritten(self) -> int:
        """How many awards are not taken off the stock."""
        return self.installation.count("SELECT count(*) FROM awards_award WHERE NOT stock_written")

    def manage(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of ``manage.py`` beside it."""
        argv = [sys.executable, "manage.py", *arguments]
        environment = self.installation.environment
        return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def wrong_in_the_books(self) -> str:
        """Return what the sale's own check and its book complain of; empty if of nothing."""
        check, book = self.manage("sale", "sale", "check"), self.manage("outbox_books", "flash_sales", "--json")
        wrong = [each.stdout + each.stderr for each in (check, book) if each.returncode]
        if not wrong:
            json.loads(book.stdout)
        return "\n".join(wrong)


def kinds_in_turn(many: int) -> Iterator[str]:
    """Give the kinds of faults, one after the other."""
    return (KINDS[number % len(KINDS)] for number in range(many))


def kinds_at_random(many: int, rng: random.Random) -> Iterator[str]:
    """Give each kind as often as the others, in an order that nobody knows."""
    kinds = list(kinds_in_turn(many))
    rng.shuffle(kinds)
    return iter(kinds)


def sell(
    installation: Installation,
    redis: RedisServer,
    kinds: Iterator[str],
    *,
    faults: int,
    rng: random.Random,
    tell: Callable[[str], object] = lambda _line: None,
) -> Sold:
    """Sell everything while so many faults happen at random points, and wait until all is settled.

    Control worker and beat must run already.
    """
    pieces, port = PIECES_BETWEEN * faults, free_port()
    people = pieces + COME_TOO_LATE
    subprocess.run([sys.executable, "-c", OPEN % pieces], cwd=ROOT, env=installation.environment, check=True)
    worker = installation.worker()
    web = _start_web(installation, port)
    sold = Sold(installation, Shoppers(port, people), pieces, people)
    threads = sold.shoppers.start()
    for number, kind in enumerate(kinds):
        sold.shoppers.come = pieces * (number + 1) // faults
        due = pieces * (number + rng.uniform(0.2, 0.8)) / faults
        eventually(partial(_have_been_answered, sold.shoppers, due), within=120, what=f"{due:.0f} were answered")
        _strike(kind, redis, installation, worker, web, rng)
        sold.faults[kind] += 1
        sold.served_between.append(sold.shoppers.answered)
        tell(f"{number + 1}: {kind}, {sold.shoppers.answered} answered")
    sold.shoppers.come = people
    for thread in threads:
        thread.join(180)
    eventually(lambda: installation.count(OPEN_HALVES) == 0, within=90, what="every half message is settled")
    eventually(lambda: installation.count(OPEN_MESSAGES) == 0, within=90, what="every message is settled")
    return sold


def _have_been_answered(shoppers: Shoppers, many: float) -> bool:
    return shoppers.answered >= many


def _start_web(installation: Installation, port: int) -> Program:
    argv = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"]
    argv += ["--workers", "2", "--threads", "4", "--graceful-timeout", "2", "--no-control-socket"]
    web = Program("web", argv, environment=installation.environment, log=installation.folder / "web.log")
    installation.programs.append(web)
    web.wait_for("Booting worker")
    return web


def _strike(
    kind: str, redis: RedisServer, installation: Installation, worker: Program, web: Program, rng: random.Random
) -> None:
    """Do it, and start again what was killed."""
    match kind:
        case "redis killed":
            redis.kill()
            time.sleep(rng.uniform(0.2, 1))
            redis.start()  # with nothing in it, or what it had written down earlier
        case "redis flushed":
            redis.client.flushall()
        case "redis failed over":
            # What a replica has that heard of everything up to here; it is promoted a little later.
            redis.client.save()
            time.sleep(rng.uniform(0.3, 0.8))
            redis.kill()
            redis.start()
        case "worker killed":
            worker.kill()
            installation.restart(worker)
        case "web killed":
            web.kill()
            web.start()
            web.wait_for("Booting worker")
