"""A stranger who checks types: mypy is content with every public name, and finds what is wrong with the others."""

import subprocess
import textwrap
from collections import defaultdict

import pytest

import outbox
from tests.harness.archives import build_archives
from tests.system.hosts.files import PROJECT
from tests.system.hosts.virtualenv import make_virtualenv_like_ours

MYPY = """
[tool.mypy]
strict = true
plugins = ["mypy_django_plugin.main"]

[tool.django-stubs]
django_settings_module = "myproject.settings"
"""
SETTINGS = """
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
"""
MODELS = """
from django.db import models


class Entry(models.Model):
    what = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
"""
CONSUMERS = """
import asyncio
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q
from kombu import Exchange

from orders.models import Entry
from outbox import Book, HalfTakenBack, Incoming, MayHaveHappened, book, check_back, commit_half, forward, prepare
from outbox import Backoff, Closing, Draft, KeyReused, Message, Progress, Reject, Snooze, Superseded, Unavailable
from outbox import receive, take_back_half
from outbox import Withdrawal, consumer, declare_topics, hurry, publish, publish_many, status, withdraw
from outbox.admin import Description, Fact, admin_url, describe
from outbox.errors import OutboxError, PublishError
from outbox.logs import MessageFilter
from outbox.models import ConsumerState, Half, Status
from outbox.testing import Delivery, captured_messages, deliver_pending, silenced

declare_topics("order.paid", "order.sent", "order.cancelled")


def close(closings: list[Closing]) -> None:
    for closing in closings:
        Entry.objects.create(what=f"{closing.message.key}: {closing.outcome}, {closing.evidence or closing.reason}")


@consumer(
    "order.cancelled",
    on_handled=close,
    on_discarded=close,
    on_reopened=close,
    on_exhausted=close,
    on_withdrawn=close,
)
def refund(message: Message) -> None:
    answers: dict[str, Withdrawal] = withdraw("order.paid", key=message.key)
    done: dict[str, Progress] = status("order.paid", key=message.key)
    if Withdrawal.UNDER_WAY in answers.values() or not all(each.is_done for each in done.values()):
        hurry("order.sent", key=message.key)


@consumer("order.paid", retry=Backoff(limit=8, first=timedelta(seconds=10), factor=2, cap=timedelta(hours=1)))
def add_points(message: Message) -> None:
    if message.payload["points"] < 0:
        raise Reject("no points")
    if message.attempts > 3:
        raise Snooze(timedelta(minutes=1), "later")
    Entry.objects.create(what=message.key)


@consumer("order.paid", atomic=False, timeout=timedelta(seconds=15))
def ship(message: Message) -> str:
    try:
        with message.settling():
            Entry.objects.create(what=message.idempotency_key)
    except Superseded:
        return "overtaken"
    raise Unavailable("closed", after=timedelta(minutes=5))


@consumer("order.sent", atomic=False, concurrency=50, rate="100/s", burst=20, overdue="discard")
async def tell(message: Message) -> None:
    await asyncio.sleep(0)
    count: int = await message.settle(count_entries, message.key, limit=3)
    assert count


@consumer("order.#", bulk=True, chunk=500, name="orders.audit")
def write_down(messages: list[Message]) -> None:
    for message in messages:
        message.report(None if message.topic == "order.paid" else Reject("unknown"))


def count_entries(key: str, *, limit: int) -> int:
    return Entry.objects.filter(what=key)[:limit].count()


@describe("order.*")
def described(messages: Sequence[Message]) -> dict[int, Description]:
    facts = [Fact("order", "7", admin_url("orders_entry_change", 7))]
    return {message.pk: Description("an order", facts=facts) for message in messages}


def buy(number: int) -> list[int]:
    try:
        one: list[int] = publish("order.paid", key=number, payload={"points": 3}, delay=timedelta(seconds=1))
        return one + publish_many([Draft("order.sent", key="7", payload=None, ordering_key="7")])
    except KeyReused as error:
        known: PublishError = error
        raise known from None
    except OutboxError:
        return []


orders = Exchange("orders", type="topic")
forward("orders.partner", "order.#", exchange=orders, receipt=timedelta(minutes=5), receiver="p")


def topic_of(came: Incoming) -> str:
    return f"order.{came.properties['type']}"


receive("partner.events", topic=topic_of, source="partner", receipts=True)


@book("entries", every=timedelta(hours=1))
class EntryBook(Book):
    business = Entry.objects.all()
    since = "at"
    topic = "order.paid"
    done = Q(what="done")


@check_back("orders.entries")
def is_there(half: Half) -> bool | None:
    return Entry.objects.filter(what=str(half.write_id)).exists() or None


def order(number: int) -> bool:
    try:
        with prepare("order.sent", key=number, payload={}, check="orders.entries") as half:
            commit_half(half.write_id)
    except HalfTakenBack:
        return take_back_half(half.write_id)
    raise MayHaveHappened("nobody knows")


def look() -> tuple[str, ...]:
    with silenced(), captured_messages() as messages:
        buy(7)
    delivered: list[Delivery] = deliver_pending(add_points, ignore_waits=True)
    assert [message.status for message in messages] == [Status.PENDING]
    assert ConsumerState.objects.count() and MessageFilter().name == ""
    return delivered[0].outcomes
"""
MISTAKES = """
from datetime import timedelta

import outbox
from outbox import Backoff, Message, Snooze, consumer, publish
from outbox import publsh  # a misspelt name


@consumer("order.paid")  # takes no message
def nothing() -> None: ...


@consumer("order.paid")  # takes something else
def number(message: int) -> None: ...


@consumer("order.paid", retry=3)  # no Backoff
def tried(message: Message) -> None: ...


def buy() -> None:
    outbox.publsh()  # again
    publish("order.paid", payload={})  # no key
    Snooze(60)  # no timedelta
    Backoff(first=10)  # no timedelta
    Message().setling()  # no method


right: timedelta = Snooze(timedelta(1)).after
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What mypy says of a stranger's project, with the wheel installed, a list of lines for each of its files.

    It is run once for all of them: most of its time goes into Django and the wheel.
    """
    pytest.importorskip("mypy")
    [wheel, _sdist], folder = build_archives(tmp_path_factory.mktemp("wheel")), tmp_path_factory.mktemp("typed")
    python = make_virtualenv_like_ours(folder / "virtualenv", wheel)
    celery = PROJECT["myproject/celery.py"]
    files = {
        "pyproject.toml": MYPY,
        "myproject/__init__.py": PROJECT["myproject/__init__.py"],
        "myproject/settings.py": PROJECT["myproject/settings.py"].replace(', "shipping"', "") + SETTINGS,
        "myproject/celery.py": celery,
        "orders/__init__.py": "",
        "orders/models.py": MODELS,
        "orders/consumers.py": CONSUMERS,
        "orders/mistakes.py": MISTAKES,
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(textwrap.dedent(text))
    options = ["--no-incremental", "--show-traceback", "--hide-error-codes", "--no-error-summary"]
    mypy = [python, "-m", "mypy", *options, "orders/consumers.py", "myproject/celery.py", "orders/mistakes.py"]
    done = subprocess.run(mypy, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True)
    by_file = defaultdict(list)
    for line in (done.stdout + done.stderr).splitlines():
        by_file[line.partition(":")[0]].append(line)
    return by_file


def test_mypy_strict_is_content_with_a_project_that_uses_every_public_name(said):
    assert said.keys() == {"orders/mistakes.py"}, said
    assert [name for name in outbox.__all__ if name not in CONSUMERS + PROJECT["myproject/celery.py"]] == []


def test_mypy_finds_misspelt_names_wrong_arguments_and_handlers_that_take_no_message(said):
    lines = said["orders/mistakes.py"]

    wrong = [number for number, line in enumerate(MISTAKES.splitlines(), 1) if "  # " in line]
    assert sorted({int(line.split(":")[1]) for line in lines if ": error:" in line}) == wrong, lines
