"""What the shop's consumers leave behind, without any unique constraint, so that a doubled effect would show."""

import uuid

from django.db import models


class Effect(models.Model):
    """One effect of one call of a handler."""

    key = models.CharField(max_length=200, db_index=True)
    message_id = models.BigIntegerField()
    attempt = models.PositiveIntegerField()
    pid = models.PositiveIntegerField()
    at = models.DateTimeField(auto_now_add=True)


class Stock(models.Model):
    """A business row that many messages touch."""

    count = models.IntegerField(default=0)


class Tag(models.Model):
    """A row whose uniqueness is checked only at COMMIT."""

    name = models.CharField(max_length=50)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name"], name="shop_tag_once", deferrable=models.Deferrable.DEFERRED)
        ]


class Sale(models.Model):
    """A row of business for the books: one message for each consumer, and done when they have succeeded."""

    number = models.UUIDField(default=uuid.uuid4, unique=True)
    sold_at = models.DateTimeField(db_index=True)
    changed_at = models.DateTimeField(db_index=True)
    status = models.CharField(max_length=10, default="new")
    amount = models.IntegerField(default=0)
