"""Every block of code in the manual and in the README is run, or is checked, and here it says why it is not run."""

import configparser
import os
import shutil
from urllib.parse import urlsplit

import pytest
import yaml
from django.conf import settings as ours
from kombu import Connection

from tests.docs import commands, surroundings
from tests.docs.reader import Reader
from tests.harness.databases import Database
from tests.harness.manual import Block, blocks, page, pages
from tests.harness.ports import free_port

CHECKED_ONLY = {
    "bulk": "they act on messages of the reader's; tests/outbox/bulk runs each command",
    "backup": "they restore a database, or act on consumers of the reader's",
    "compared": "they run for up to half an hour; tests/benchmarks has what they are made of",
    "editing": "they act on messages of the reader's; tests/outbox/management/test_outbox_edit.py runs each command",
    "maintenance": "they stop services, change passwords and delete tables",
    "operate": "they act on messages and consumers of the reader's; tests/outbox/operate runs each command",
    "rehearsal": "they rehearse messages of the reader's; tests/outbox/rehearsal has what is said of them",
    "runbook": "they look at servers that are in trouble, or act on messages of the reader's",
    "this-project": "they need root, Docker or services of their own; tests/system/processes runs demo, up and start",
}
"""Pages whose commands are not run, but looked at: each with the reason."""

NO_CODE = {"", "text"}
"""Languages of blocks that are not code: what was written by the block before."""

PROOFS = {
    "README": """
        from myshop.services import pay
        from outbox.testing import deliver_pending
        pay(account, 120)
        assert [delivery.outcomes for delivery in deliver_pending()] == [("success",)]
        account.refresh_from_db()
        assert account.points == 120
        """,
    "consumers": """
        from outbox.testing import deliver_pending
        outcomes = {(each.message.topic, each.message.consumer, each.outcomes) for each in deliver_pending()}
        assert ("order.paid", "myshop.add_points", ("success",)) in outcomes
        assert {outcome for *_, outcome in outcomes} == {("success",)}
        account.refresh_from_db()
        assert account.points == 120
        shipment = Shipment.objects.get(number__startswith="parcel")
        from outbox.admin.finders import find_keys
        assert find_keys(shipment.number) == ({"order.*": [str(shipment.order_id)]}, False)
        assert find_keys("nothing") == ({}, False)
        """,
    "after-publishing": """
        from outbox.testing import deliver_pending
        message = Message.objects.get(topic="order.due")
        assert (message.status, message.payload) == ("pending", {"bounced": True})
        assert message.not_before <= message.due_at
        [delivery] = deliver_pending("myshop.cancel_unpaid")
        assert delivery.outcomes == ("success",)
        assert Shipment.objects.get(order=order).state == "cancelled"
        """,
    "ordering": """
        from outbox.testing import deliver_pending
        shipment = Shipment.objects.create(order=order, state="packed", version=2)
        with transaction.atomic():
            for version, state in [(3, "sent"), (1, "ordered")]:
                payload = {"shipment": shipment.pk, "version": version, "state": state}
                publish("shipment.changed", key=f"{shipment.pk}:{version}", payload=payload)
        assert len(deliver_pending("myshop.keep_the_newest")) == 2
        shipment.refresh_from_db()
        assert (shipment.state, shipment.version) == ("sent", 3)
        """,
    "rehearsal": """
        from outbox import registry
        from outbox.testing import deliver_pending
        with transaction.atomic():
            publish("points.granted", key="1", payload={"account": account.pk, "points": 7})
        assert [delivery.outcomes for delivery in deliver_pending("myshop.grant_points")] == [("success",)]
        account.refresh_from_db()
        assert account.points == 7
        assert registry.get("myshop.grant_points").rehearsable
        """,
    "editing": """
        from outbox import registry
        from outbox.admin.edit_forms import form_of
        assert registry.get("myshop.send").locked == ("order", "amount")
        assert list(form_of("myshop.send").base_fields) == ["street", "city", "gift_note"]
        """,
    "testing": "",
    "settings": """
        from outbox.conf import conf
        assert (conf().prefix, conf().keep_finished) == ("myproject", timedelta(days=90))
        """,
    "upgrade": """
        from outbox.testing import deliver_pending
        with transaction.atomic():
            publish("order.paid", key=order.pk, payload={})
        assert [delivery.outcomes for delivery in deliver_pending("myshop.add_points")] == [("success",)]
        assert [delivery.outcomes for delivery in deliver_pending("myshop.book")] == [("success",)]
        """,
    "moving": """
        from outbox.testing import deliver_pending
        assert [delivery.outcomes for delivery in deliver_pending("myshop.add_points")] == [("success",)]
        account.refresh_from_db()
        assert account.points == 120
        """,
    "vendors": """
        import httpx
        from myshop import consumers
        from outbox.testing import deliver_pending
        seen = []

        def vendor(request):
            seen.append(request.headers["Idempotency-Key"])
            busy = {"status_code": 429, "headers": {"Retry-After": "7"}}
            return httpx.Response(**busy if len(seen) == 1 else {"status_code": 200, "json": {"number": "A 1"}})

        consumers.client = httpx.AsyncClient(transport=httpx.MockTransport(vendor))
        with transaction.atomic():
            publish("order.paid", key=order.pk, payload={})
        [delivery] = deliver_pending(ignore_waits=True)
        assert delivery.outcomes == ("unavailable", "success")
        assert seen == [delivery.message.idempotency_key] * 2
        assert Gift.objects.get().number == "A 1"

        from myshop import questions
        book = {delivery.message.idempotency_key: [{"number": "A 1"}]}

        def look(request):
            return httpx.Response(200, json=book.get(request.url.params["idempotency_key"], []))

        questions.client = httpx.Client(base_url="https://vendor.example", transport=httpx.MockTransport(look))
        assert questions.find_order(delivery.message) == "A 1"
        book.clear()
        assert questions.find_order(delivery.message) is None

        from outbox.models import Exchange
        heard = httpx.MockTransport(lambda request: httpx.Response(200, text="parcel 7"))
        consumers.vendor = httpx.Client(base_url="https://vendor.example", transport=heard)
        with transaction.atomic():
            publish("parcel.due", key=order.pk, payload={"to": "Bonn"})
        [delivery] = deliver_pending("myshop.order_parcel")
        exchange = Exchange.objects.get(message=delivery.message)
        assert (delivery.outcomes, exchange.answer) == (("success",), "parcel 7")
        """,
    "by-hand": """
        from django.db.models import F
        from django.db.models.functions import Now
        from outbox import operate
        from outbox.models import HandledAs
        shipment = Shipment.objects.create(order=order, state="packed")
        with transaction.atomic():
            publish("shipment.packed", key=shipment.pk, payload={})
        given_up = {"attempts": F("attempt_limit"), "finished_at": Now(), "exhausted_at": Now()}
        messages = Message.objects.filter(topic="shipment.packed")
        messages.update(status="failed", **given_up)
        by = {"actor": "anna", "reason": "by telephone"}
        handled = operate.mark_handled(
            messages.get().pk, revision=0, outcome=HandledAs.ISSUED, evidence="parcel 7", **by
        )
        shipment.refresh_from_db()
        assert (shipment.state, shipment.number) == ("sent by hand", "parcel 7")
        operate.reopen(handled.pk, revision=1, **by)
        shipment.refresh_from_db()
        assert (shipment.state, messages.get().status) == ("packed", "failed")
        from outbox.testing import deliver_pending
        with transaction.atomic():
            publish("shipment.sorted", key=shipment.pk, payload={})
        deliver_pending("myshop.sort")
        deliver_pending("myshop.sort.exhausted")
        shipment.refresh_from_db()
        assert shipment.state == "waits for a person"
        """,
}
"""What must be true once a page's blocks stand in the project: the code does what the page says of it."""


ONE_FAILED = """
from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.functions import Now
User.objects.create_superuser("anna", password="secret")
with transaction.atomic():
    publish("order.paid", key=order.pk, payload={"account": account.pk, "points": 120})
given_up = {"attempts": F("attempt_limit"), "finished_at": Now(), "exhausted_at": Now()}
Message.objects.update(status="failed", **given_up)
"""
"""Somebody for whom a program may act, and a message for it to act on."""
RUN_BY = {
    "tutorial": "test_the_tutorial_leads_from_an_empty_folder_to_effects_that_are_there_once",
    "adopt": "test_who_follows_the_page_on_adopting_has_his_messages_delivered",
    "api": "test_the_calls_of_the_page_on_the_api_are_answered",
    **dict.fromkeys(PROOFS, "test_the_code_of_a_page_does_what_it_says"),
}
"""Pages whose code is run, and the test below that does it."""


@pytest.fixture(scope="module")
def adopted(tmp_path_factory):
    """A project that has adopted the outbox, migrated, to be copied."""
    folder = tmp_path_factory.mktemp("adopted") / "project"
    folder.mkdir()
    with Reader(folder) as reader:
        reader.write(surroundings.ADOPTED)
        reader.shell("python manage.py makemigrations myshop && python manage.py migrate", where="the surroundings")
    return folder


@pytest.mark.processes
def test_the_tutorial_leads_from_an_empty_folder_to_effects_that_are_there_once(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    with Reader(folder, environment={"DJANGO_SETTINGS_MODULE": "mysite.settings"}) as reader:
        reader.follow(blocks(page("tutorial")))

        assert len(reader.terminals) == 4


@pytest.fixture
def reader_of_adopting(tmp_path):
    """A project on PostgreSQL and RabbitMQ that knows nothing of the outbox; database and queues are its own."""
    database = Database(os.environ["DATABASE_URL"].partition("?")[0], f"test_reader_{os.getpid()}", durable=False)
    prefix, server = f"{ours.OUTBOX['PREFIX']}-reader", urlsplit(database.server)
    described = {"ENGINE": "django.db.backends.postgresql", "NAME": database.name, "HOST": server.hostname}
    described |= {"PORT": server.port or 5432, "USER": server.username or "postgres", "PASSWORD": server.password or ""}
    default_queue = f'CELERY_TASK_DEFAULT_QUEUE = "{prefix}.tasks"\nCELERY_TASK_DEFAULT_EXCHANGE = ""\n'
    settings = f'{surroundings.SETTINGS}DATABASES = {{"default": {described!r}}}\n{default_queue}'
    environment = {"DJANGO_SETTINGS_MODULE": "myproject.settings", "CELERY_BROKER_URL": ours.CELERY_BROKER_URL}
    folder = tmp_path / "project"
    folder.mkdir()
    try:
        with Reader(folder, environment=environment) as reader:
            # Queues and nodes of this run's own, as runs share a broker.
            reader.replaced = {
                '"PREFIX": "myproject"': f'"PREFIX": "{prefix}"',
                "myproject.control": f"{prefix}.control",
                "control@%h": f"{prefix}-control@%h",
                "-X ": f"-n {prefix}-worker@%h -X ",
            }
            reader.write({**surroundings.BEFORE, "myproject/settings.py": settings})
            reader.shell("python manage.py makemigrations myshop", where="the surroundings")
            yield reader
    finally:
        database.drop()
        with Connection(ours.CELERY_BROKER_URL, connect_timeout=5) as connection:
            for name in ("control", "dead", "tasks", "myshop.add_points"):
                connection.channel().queue_delete(f"{prefix}.{name}")


@pytest.mark.services
@pytest.mark.processes
def test_who_follows_the_page_on_adopting_has_his_messages_delivered(reader_of_adopting):
    reader_of_adopting.follow(blocks(page("adopt")))

    assert len(reader_of_adopting.terminals) == 3
    line = "message=- attempt=- consumer=- told"
    said = reader_of_adopting.shell(
        """python manage.py shell -c "import logging; logging.getLogger('x').error('told')" """, where="the log"
    )
    assert line in said


@pytest.mark.processes
def test_the_calls_of_the_page_on_the_api_are_answered(adopted, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(adopted, folder)
    environment = {"DJANGO_SETTINGS_MODULE": "myproject.settings"}
    with Reader(folder, environment=environment, prelude=surroundings.PRELUDE) as reader:
        reader.replaced = {"8000": str(free_port())}
        reader.python(ONE_FAILED, where="what has failed before the page begins")
        reader.follow(blocks(page("api")))

        [program] = reader.terminals
        assert program.is_running()


@pytest.mark.parametrize("name", PROOFS)
def test_the_code_of_a_page_does_what_it_says(name, adopted, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(adopted, folder)
    environment = {"DJANGO_SETTINGS_MODULE": "myproject.settings"}
    with Reader(folder, environment=environment, prelude=surroundings.PRELUDE) as reader:
        reader.follow(blocks(page(name)))

        reader.shell("python manage.py check --fail-level WARNING", where="the project with the page's code in it")
        reader.python(PROOFS[name], where="the proof")


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_every_block_of_code_is_run_or_is_checked(path):
    for block in blocks(path):
        match block.language:
            case "python":
                compile(block.text, str(block), "exec")
                assert path.stem in RUN_BY, f"{block} is run by no test"
            case "sh" if path.stem in RUN_BY:
                pass
            case "sh":
                assert path.stem in CHECKED_ONLY, f"{block} is neither run nor checked"
                commands.check(block)
            case "ini":
                check_units(block)
            case "yaml":
                yaml.safe_load(block.text)
            case language:
                assert language in NO_CODE, f"{block}: nobody knows what to do with {language!r}"


def check_units(block: Block) -> None:
    """See that the file can be read, and that the commands in it are there."""
    file = configparser.RawConfigParser(strict=True)
    file.optionxform = str
    file.read_string(block.text)
    for section in file.sections():
        for name, value in file.items(section):
            if name in ("ExecStart", "command") and "celery" in value:
                commands.check(Block(block.page, block.line, "sh", "", value))
