"""Pages that are followed step by step, in terminals of their own, on the services."""

import os
import shutil
from urllib.parse import urlsplit

import pytest
from django.conf import settings as ours
from kombu import Connection

from tests.docs import surroundings
from tests.docs.proofs import FORWARDED, ONE_FAILED, RECEIPTED
from tests.docs.reader import Reader
from tests.harness.databases import Database
from tests.harness.manual import blocks, page
from tests.harness.ports import free_port


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


@pytest.mark.services
@pytest.mark.processes
def test_plain_receivers_get_what_the_page_on_forwarding_sends(adopted, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(adopted, folder)
    environment = {"DJANGO_SETTINGS_MODULE": "myproject.settings"}
    names = {name: f"{ours.OUTBOX['PREFIX']}-{name}" for name in ("orders", "billing", "stock")}
    address = ours.CELERY_BROKER_URL.rstrip("/") + "/%2F"
    try:
        with Reader(folder, environment=environment, prelude=surroundings.PRELUDE) as reader:
            reader.replaced = {
                "amqp://shop:secret@rabbit.partner.example/orders": address,
                **{f'"{name}"': f'"{own}"' for name, own in names.items()},
            }
            reader.follow(blocks(page("forwarding")))
            reader.python(FORWARDED, where="the proof")
            for program, said in zip(reader.terminals, ("pika:", "kombu:"), strict=True):
                program.wait_for(f"{said} order.paid ")
            reader.shell("python manage.py check --fail-level WARNING", where="the project with the page's code in it")
    finally:
        with Connection(ours.CELERY_BROKER_URL, connect_timeout=5) as connection:
            for own in names.values():
                connection.channel().queue_delete(own)
                connection.channel().exchange_delete(own)


@pytest.mark.services
@pytest.mark.processes
def test_the_receipts_of_the_page_s_plain_receiver_are_believed(adopted, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(adopted, folder)
    environment = {"DJANGO_SETTINGS_MODULE": "myproject.settings"}
    prefix = ours.OUTBOX["PREFIX"]
    names = {"orders": f"{prefix}-orders", "billing": f"{prefix}-billing"}
    address = ours.CELERY_BROKER_URL.rstrip("/") + "/%2F"
    try:
        with Reader(folder, environment=environment, prelude=surroundings.PRELUDE) as reader:
            reader.replaced = {
                "amqp://shop:secret@rabbit.partner.example/orders": address,
                'exchange=Exchange("orders"': f'exchange=Exchange("{names["orders"]}"',
                '_declare("orders"': f'_declare("{names["orders"]}"',
                '_declare("billing"': f'_declare("{names["billing"]}"',
                '"billing", "orders"': f'"{names["billing"]}", "{names["orders"]}"',
                '_consume("billing"': f'_consume("{names["billing"]}"',
                "OUTBOX |= {": f'OUTBOX |= {{"PREFIX": "{prefix}-page",',
            }
            reader.follow(blocks(page("receipts")))
            reader.python(RECEIPTED, where="the proof")
            reader.shell("python manage.py check --fail-level WARNING", where="the project with the page's code in it")
    finally:
        with Connection(ours.CELERY_BROKER_URL, connect_timeout=5) as connection:
            for own in (*names.values(), f"{prefix}-page.receipts"):
                connection.channel().queue_delete(own)
                connection.channel().exchange_delete(own)
