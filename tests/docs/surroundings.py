"""The project that a page speaks to: a reader's own, as it is before the page begins."""

MANAGE = """\
import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myproject.settings")
execute_from_command_line(sys.argv)
"""

SETTINGS = """\
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "a reader's"
DEBUG = True
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "myshop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "myproject.urls"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""

SQLITE = """
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "db.sqlite3",
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL;"},
    }
}
INSTALLED_APPS += ["outbox"]
OUTBOX = {}
CELERY_BROKER_URL = "outbox-files://"
CELERY_BROKER_TRANSPORT_OPTIONS = {"folder": str(BASE_DIR / "broker"), "polling_interval": 0.05}
"""

MODELS = """\
from django.db import models


class Account(models.Model):
    name = models.CharField(max_length=100, unique=True)
    points = models.IntegerField(default=0)


class Order(models.Model):
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    version = models.IntegerField(default=1)
    placed_at = models.DateTimeField(auto_now_add=True, db_index=True)
    points_added = models.BooleanField(default=False)


class Shipment(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE)
    number = models.CharField(max_length=100, default="")
    state = models.CharField(max_length=100, default="")
    version = models.IntegerField(default=1)


class Gift(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE)
    number = models.CharField(max_length=100)
"""

SHIPPER = """\
def order(*, idempotency_key):
    return f"parcel {idempotency_key}"
"""

CELERY = """\
import os

from celery import Celery

import outbox

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "myproject.settings")
app = Celery("myproject")
app.config_from_object("django.conf:settings", namespace="CELERY")
outbox.configure(app)
"""

URLS = """\
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
"""

CONSUMERS = """\
from django.db.models import F
from myshop.models import Account
from outbox import consumer


@consumer("order.paid")
def add_points(message):
    Account.objects.filter(pk=message.payload["account"]).update(points=F("points") + message.payload["points"])


@consumer("order.changed")
def look(message):
    pass
"""

SERVICES = """\
from django.db import transaction
from myshop.models import Order
from outbox import publish


def pay(account, points):
    with transaction.atomic():
        order = Order.objects.create(account=account)
        publish("order.paid", key=order.pk, payload={"account": account.pk, "points": points})
"""

BEFORE = {
    "manage.py": MANAGE,
    "myproject/__init__.py": "",
    "myproject/settings.py": SETTINGS,
    "myproject/urls.py": URLS,
    "myshop/__init__.py": "",
    "myshop/migrations/__init__.py": "",
    "myshop/models.py": MODELS,
    "myshop/shipper.py": SHIPPER,
}
"""A project that does not know the outbox yet."""

ADOPTED = {
    **BEFORE,
    "myproject/__init__.py": "from myproject.celery import app as celery_app\n",
    "myproject/settings.py": SETTINGS + SQLITE,
    "myproject/celery.py": CELERY,
    "myshop/consumers.py": CONSUMERS,
    "myshop/services.py": SERVICES,
}
"""A project that has adopted it, on SQLite and files."""

PRELUDE = """\
from datetime import timedelta
from django.db import transaction
from myshop.models import Account, Gift, Order, Shipment
from outbox import Backoff, Draft, Message, Reject, Snooze, Unavailable, consumer, publish, publish_many

account, _ = Account.objects.get_or_create(name="anna")
order = Order.objects.first() or Order.objects.create(account=account)
"""
"""What a piece of code on a page may take for granted: the names that the page is about, an account and an order."""
