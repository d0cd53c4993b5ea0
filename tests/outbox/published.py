"""One event as the code publishes it, withdraws it and hurries it."""

from datetime import timedelta

from django.db import transaction

import outbox
from outbox import publish
from outbox.models import Message
from tests.harness.rows import Rows

HOUR = timedelta(hours=1)


TOPIC = "test.sold"


tills = Rows("test.till", topic=TOPIC, key="one")


def publish_one(payload=None, **options):
    with transaction.atomic():
        return publish(TOPIC, key="one", payload=payload, **options)


def withdraw_one(**options):
    with transaction.atomic():
        return outbox.withdraw(TOPIC, key="one", **options)


def hurry_one():
    with transaction.atomic():
        return outbox.hurry(TOPIC, key="one")


def found():
    return list(Message.objects.order_by("id").values_list("consumer", "status", "resolution", "attempts"))
