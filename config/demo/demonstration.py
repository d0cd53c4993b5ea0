"""One run of the demo: its processes, its draws, and what became of them."""

import json
import os
import secrets
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

from celery import current_app
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.urls import reverse

from awards import conf
from awards.fake_vendor.book import Book
from awards.management.commands.seed_awards import SLUG
from awards.models import Sale, StockIn
from config.demo import flash_sale, load
from config.demo.clone import kept_secret
from config.demo.killing import Killer
from config.demo.progress import Progress
from config.demo.reconciliation import handled_by, reconcile
from config.processes import roles
from config.processes.arguments import free_port
from config.processes.service_checks import why_no_broker
from config.processes.supervisor import Supervisor
from outbox import Message

OPERATOR = "admin"
UP_WITHIN = timedelta(seconds=60)
REFRESH_SECONDS = timedelta(seconds=0.2)
SLOW_DRAW = timedelta(seconds=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the demo was asked for."""

    draws: int
    sale: int
    """How many people come to the flash sale."""
    seed: int
    port: int
    kill_worker: int
    exit: bool
    settle_timeout: timedelta


class Demonstration:
    """Everything started, draws made, and then either the reconciliation or the reader's own look around."""

    def __init__(self, options: DemoOptions, *, out: TextIO) -> None:
        self._options = options
        self._out = out
        self._run = f"demo-{secrets.token_hex(4)}"
        self._bind = f"127.0.0.1:{options.port or free_port()}"
        self._book = Path(settings.STATE_DIR) / "vendor-book.sqlite3"
        self._logs = Path(settings.STATE_DIR) / "logs"
        self._pids: dict[str, list[int]] = defaultdict(list)
        self._since = 0
        self._shipped_before = 0
        self._sale: Sale | None = None
        self._won_before = self._pieces = 0

    def run(self) -> bool:
        """Run to the end and tell whether all is settled, nothing lost and nothing doubled.

        Without ``exit`` it runs until a signal ends it.
        """
        password = self._set_up()
        with _queues_of_its_own(), self._supervisor() as supervisor:
            self._wait_until_up(supervisor)
            self._say(f"Look on while it draws: {self._desk(password)}")
            began = time.monotonic()
            self._make_draws(supervisor)
            self._hold_sale()
            if not self._options.exit:
                self._show(password)
                supervisor.stay()
            settled = self._settle()
            seconds = time.monotonic() - began
            self._note_pids(supervisor)
        return self._reconcile(seconds) and settled

    def _set_up(self) -> str:
        """Make database, campaign and operator; return the operator's password."""
        services = "SQLite and files" if settings.EMBEDDED else "the database and the broker given"
        if settings.EMBEDDED and os.environ.get("CELERY_BROKER_URL"):
            self._say("CELERY_BROKER_URL is passed over without DATABASE_URL: real services are both, or neither.")
        self._say(f"Setting up on {services}, state in {settings.STATE_DIR} ...")
        call_command("migrate", verbosity=0)
        call_command("seed_awards", stdout=StringIO())
        call_command("collectstatic", interactive=False, verbosity=0)
        if settings.EMBEDDED:
            shutil.rmtree(Path(settings.STATE_DIR) / "broker", ignore_errors=True)
        if self._options.sale:
            self._sale = flash_sale.prepare()
            self._won_before, self._pieces = flash_sale.stand_of(self._sale)
        self._since = Message.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        self._shipped_before = len(self._shipped())
        return _operator_s_password(Path(settings.STATE_DIR) / "admin-password")

    def _supervisor(self) -> Supervisor:
        processes = [
            roles.vendor(book=self._book, seed=self._options.seed),
            roles.worker(concurrency=4 if settings.EMBEDDED else 2, site_url=f"http://{self._bind}"),
            roles.control(),
            roles.beat(),
            roles.web(bind=self._bind),
        ]
        return Supervisor(processes, logs=self._logs)

    def _wait_until_up(self, supervisor: Supervisor) -> None:
        for name in supervisor.pids():
            supervisor.wait_until_ready(name, within=UP_WITHIN)
        load.wait_until_served(f"http://{self._bind}/", within=UP_WITHIN)
        running = ", ".join(f"{name} {pids[-1]}" for name, pids in supervisor.pids().items())
        self._say(f"Running, each a process of its own: {running}.")
        self._note_pids(supervisor)

    def _make_draws(self, supervisor: Supervisor) -> None:
        killer = Killer(supervisor, times=self._options.kill_worker)
        killer.start()
        progress = Progress(self._out, "draws", total=self._options.draws)
        address = f"http://{self._bind}{reverse('awards:api-draws', args=[SLUG])}"
        won = 0
        outcomes = load.make_draws(address, run=self._run, number=self._options.draws, seed=self._options.seed)
        for done, has_won in enumerate(outcomes, start=1):
            won += has_won
            progress.show(done, f"{won} won" + (f", worker killed {killer.kills} times" if killer.kills else ""))
            if killer.is_behind(done=done, of=self._options.draws):
                time.sleep(SLOW_DRAW.total_seconds())
        killer.finish()
        progress.end()
        self._pids["worker"] += killer.killed
        if killer.kills:
            self._say(f"The worker was killed {killer.kills} times; {killer.caught} messages were started just then.")

    def _hold_sale(self) -> None:
        """Let a crowd into the flash sale, and say what became of its pieces."""
        if self._sale is None:
            return
        redis = self._sale.stock_in == StockIn.REDIS
        self._say(
            f"A flash sale: {flash_sale.PIECES} pieces in {'Redis' if redis else 'the database'}, "
            f"{flash_sale.RATE} draws a second"
            + (".\n" if redis else ", and they wait in a queue. With REDIS_URL the pieces are in Redis.\n")
            + f"Watch it: {self._watch_page()}"
        )
        progress = Progress(self._out, "flash sale", total=self._options.sale)
        address = f"http://{self._bind}{reverse('awards:api-draws', args=[flash_sale.SLUG])}"
        told: Counter[str] = Counter()
        refused = 0
        answers = flash_sale.let_in(address, run=self._run, people=self._options.sale)
        for done, answered in enumerate(answers, start=1):
            told[answered.outcome] += 1
            refused += answered.refused
            progress.show(done, f"{told['won']} won, {refused} times told to come again")
        progress.end()
        outcome = self._sale_outcome(self._sale)
        self._say(
            f"Of {outcome.pieces} pieces {outcome.won} are won and {outcome.left} left"
            f"{'' if outcome.adds_up else ': IT DOES NOT ADD UP'}. "
            + ", ".join(f"{code}: {times}" for code, times in sorted(told.items()))
        )

    def _sale_outcome(self, sale: Sale) -> flash_sale.SaleOutcome:
        won, left = flash_sale.stand_of(sale)
        return flash_sale.SaleOutcome(pieces=self._pieces, won=won - self._won_before, left=left)

    def _watch_page(self) -> str:
        sale = self._sale
        return f"http://{self._bind}{reverse('admin:awards_sale_watch', args=[sale.pk])}" if sale else ""

    def _show(self, password: str) -> None:
        site = f"http://{self._bind}"
        self._say(
            f"\nTake a look:\n"
            f"  draw yourself      {site}{reverse('awards:campaign', args=[SLUG])}\n"
            f"{self._sale_lines(site)}"
            f"  operators' desk    {self._desk(password)}\n"
            f'  the vendor\'s moods {conf.vendor_settings().url}/control (GET, or POST JSON such as {{"fail": 0.9}})\n'
            f"  texts to winners   {conf.vendor_settings().url}/texts\n"
            f"  mails to winners   {self._logs.parent / 'mail'}\n"
            f"  logs               {self._logs}\n\n"
            f"Everything keeps running. Ctrl-C stops it."
        )

    def _sale_lines(self, site: str) -> str:
        if self._sale is None:
            return ""
        page = reverse("awards:campaign", args=[flash_sale.SLUG])
        return f"  the flash sale     {site}{page}\n  how that goes      {self._watch_page()}\n"

    def _desk(self, password: str) -> str:
        return f"http://{self._bind}{reverse('admin:outbox_message_changelist')}   login: {OPERATOR} / {password}"

    def _settle(self) -> bool:
        """Wait until every message of the run is finished or exhausted; complain and return False if that fails."""
        unfinished = Message.objects.filter(pk__gt=self._since, finished_at__isnull=True)
        total = Message.objects.filter(pk__gt=self._since).count()
        progress = Progress(self._out, "messages settled", total=total)
        until = time.monotonic() + self._options.settle_timeout.total_seconds()
        while left := unfinished.count():
            progress.show(total - left)
            if time.monotonic() > until:
                rows = unfinished.order_by("pk").values_list("pk", "consumer", "status", "attempts", "last_error")[:10]
                self._say(f"\n{left} messages are not settled after {self._options.settle_timeout}; the first of them:")
                self._say("\n".join(map(str, rows)))
                return False
            time.sleep(REFRESH_SECONDS.total_seconds())
        progress.show(total)
        progress.end()
        return True

    def _reconcile(self, seconds: float) -> bool:
        """Count what reached people, and print it as the last line."""
        outcome = reconcile(run=self._run, shipped=self._shipped()[self._shipped_before :], since=self._since)
        sale = self._sale_outcome(self._sale) if self._sale else None
        result = {
            **asdict(outcome),
            **({"sale": asdict(sale)} if sale else {}),
            "seconds": round(seconds, 1),
            "pids": {"demo": [os.getpid()], **self._pids},
            "handled_by": handled_by(since=self._since),
        }
        self._say(json.dumps(result))
        return outcome.sound and (sale is None or sale.adds_up)

    def _note_pids(self, supervisor: Supervisor) -> None:
        for name, pids in supervisor.pids().items():
            self._pids[name] = list(dict.fromkeys([*self._pids[name], *pids, *supervisor.members(name)]))

    def _shipped(self) -> list[str]:
        """Return the awards in the vendor's own book, once for each order really shipped."""
        book = Book(self._book)
        try:
            return [order.wanted.award for order in book.everything()]
        finally:
            book.close()

    def _say(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()


def _operator_s_password(path: Path) -> str:
    """See to it that the operator can log in with the password kept in the file, and return it."""
    password = kept_secret(path, lambda: secrets.token_urlsafe(9))
    users = get_user_model()._default_manager
    operator, _made = users.get_or_create(
        username=OPERATOR, defaults={"is_staff": True, "is_superuser": True, "email": "admin@example.org"}
    )
    if not operator.check_password(password):
        operator.set_password(password)
        operator.save()
    return password


@contextmanager
def _queues_of_its_own() -> Iterator[None]:
    """Delete the run's queues at its end, so that they do not pile up on a broker; the table keeps the work."""
    try:
        yield
    finally:
        if not settings.EMBEDDED and not why_no_broker():
            names = [*current_app.amqp.queues, f"{settings.OUTBOX['PREFIX']}.dead"]
            with current_app.connection_for_write() as connection:
                channel: Any = connection.channel()
                for name in names:
                    channel.queue_delete(name)
