"""What a stranger has written: the files of a small project, with the manual's code in it, word for word."""

from tests.harness.manual import blocks, page


def file_of_the_manual(path: str) -> str:
    """Return the first block of the manual's page on adopting that is the file ``path``."""
    return next(block.text for block in blocks(page("adopt")) if block.path == path)


SETTINGS = """
SECRET_KEY = "a stranger's"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "orders", "shipping"]
INSTALLED_APPS += ["outbox"]
ROOT_URLCONF = "myproject.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""

INIT = """
from myproject.celery import app as celery_app
"""

URLS = """
from django.urls import path
from orders import views

urlpatterns = [path("pay/<int:pk>/", views.pay)]
"""

ORDERS_MODELS = """
from django.db import models


class Entry(models.Model):
    what = models.CharField(max_length=200)
    pid = models.IntegerField()
    queue = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)
"""

ORDERS_MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Entry", [
            ("id", models.BigAutoField(primary_key=True)),
            ("what", models.CharField(max_length=200)),
            ("pid", models.IntegerField()),
            ("queue", models.CharField(max_length=200)),
            ("at", models.DateTimeField(auto_now_add=True)),
        ]),
    ]
"""

ORDERS_TASKS = """
import ast
import os
import signal

from celery import shared_task
from kombu.serialization import register
from orders.models import Entry

register("python", repr, ast.literal_eval, content_type="application/x-stranger", content_encoding="utf-8")


@shared_task(bind=True)
def note(self, what):
    Entry.objects.create(what=what, pid=os.getpid(), queue=self.request.delivery_info["routing_key"] or "")
    return what


@shared_task(serializer="python")
def note_a_set(numbers):
    return [type(numbers).__name__, sorted(numbers)]


@shared_task
def die(what):
    Entry.objects.create(what=what, pid=os.getpid(), queue="")
    os.kill(os.getpid(), signal.SIGKILL)
"""

ORDERS_CONSUMERS = """
import os

from orders.models import Entry
from outbox import Unavailable, consumer, publish


@consumer("order.paid")
def add_points(message):
    Entry.objects.create(what=f"points {message.key}", pid=os.getpid(), queue="")
    publish("points.added", key=message.key, payload={})


@consumer("points.added")
def congratulate(message):
    if message.attempts <= message.payload.get("busy", 0):
        raise Unavailable("nobody answers")
    Entry.objects.create(what=f"congratulated {message.key}", pid=os.getpid(), queue="")
"""

ORDERS_VIEWS = """
from django.http import HttpResponse
from orders.models import Entry
from outbox import publish


def pay(request, pk):
    Entry.objects.create(what=f"paid {pk}", pid=0, queue="")
    publish("order.paid", key=pk, payload={})
    if "fail" in request.GET:
        raise ValueError("after publishing")
    return HttpResponse("paid")
"""

ORDERS_TESTS = """
from django.db import transaction
from django.test import TestCase, TransactionTestCase
from orders.consumers import add_points
from orders.models import Entry
from orders.tasks import note
from outbox import publish
from outbox.testing import captured_messages, deliver_pending, silenced


def pay(key):
    with transaction.atomic():
        publish("order.paid", key=key, payload={})


class Payments:
    def test_a_paid_order_earns_points(self):
        with captured_messages() as messages:
            pay("7")

        expected = [("orders.add_points", "7"), ("shipping.ship", "7")]
        self.assertEqual(sorted((message.consumer, message.key) for message in messages), expected)
        [delivery] = deliver_pending(add_points)
        self.assertEqual(delivery.outcomes, ("success",))
        self.assertEqual([entry.what for entry in Entry.objects.all()], ["points 7"])

    @silenced()
    def test_everything_that_follows_is_delivered(self):
        pay("8")

        self.assertEqual([delivery.outcomes for delivery in deliver_pending()], [("success",)] * 3)
        self.assertEqual(deliver_pending(), [])

    def test_celery_is_eager_for_the_host(self):
        self.assertEqual(note.delay("now").get(), "now")


class InATestCase(Payments, TestCase):
    pass


class InATransactionTestCase(Payments, TransactionTestCase):
    pass
"""

SHIPPING_MODELS = """
from django.db import models


class Shipment(models.Model):
    order = models.CharField(max_length=200, unique=True)
"""

SHIPPING_MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Shipment", [
            ("id", models.BigAutoField(primary_key=True)),
            ("order", models.CharField(max_length=200, unique=True)),
        ]),
    ]
"""

SHIPPING_CONSUMERS = """
from datetime import timedelta

from outbox import consumer
from shipping.models import Shipment


@consumer("order.*", atomic=False, timeout=timedelta(seconds=5))
def ship(message):
    with message.settling():
        Shipment.objects.create(order=message.key)
"""

PROJECT = {
    "myproject/__init__.py": INIT,
    "myproject/settings.py": SETTINGS,
    "myproject/celery.py": file_of_the_manual("myproject/celery.py"),
    "myproject/urls.py": URLS,
    "orders/__init__.py": "",
    "orders/models.py": ORDERS_MODELS,
    "orders/migrations/__init__.py": "",
    "orders/migrations/0001_initial.py": ORDERS_MIGRATION,
    "orders/tasks.py": ORDERS_TASKS,
    "orders/consumers.py": ORDERS_CONSUMERS,
    "orders/views.py": ORDERS_VIEWS,
    "orders/tests.py": ORDERS_TESTS,
    "shipping/__init__.py": "",
    "shipping/models.py": SHIPPING_MODELS,
    "shipping/migrations/__init__.py": "",
    "shipping/migrations/0001_initial.py": SHIPPING_MIGRATION,
    "shipping/consumers.py": SHIPPING_CONSUMERS,
}
