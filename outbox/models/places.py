"""How many calls of a consumer each worker process may make beside each other, and how many it makes now."""

from datetime import timedelta
from typing import Any, Self

from django.db import models
from django.db.models import Sum
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.state import EngineQuerySet
from outbox.topics import NAME_LENGTH

KNOWN_FOR = timedelta(seconds=3)
"""How long it is believed what a process has said of its places; it says so every second while any is taken."""


class PlacesQuerySet(EngineQuerySet["Places"]):
    """What worker processes have said of their places."""

    def known(self) -> Self:
        """Keep what was said lately, by processes that are there."""
        return self.filter(at__gt=Now() - KNOWN_FOR)

    def per_consumer(self) -> dict[str, dict[str, Any]]:
        """Return what all processes together have of each consumer: places, how many are taken, and how many hang."""
        rows = self.known().values("consumer").order_by("consumer")
        summed = rows.annotate(places=Sum("width"), all_taken=Sum("taken"), all_stuck=Sum("stuck"))
        return {
            row["consumer"]: {"places": row["places"], "taken": row["all_taken"], "stuck": row["all_stuck"]}
            for row in summed
        }

    def say(self, consumer: str, worker: str, *, width: int, taken: int, stuck: int) -> None:
        """Write down what a process has of a consumer now."""
        places = Places(consumer=consumer, worker=worker, width=width, taken=taken, stuck=stuck, at=Now())
        self.bulk_create(
            [places],
            update_conflicts=True,
            unique_fields=["consumer", "worker"],
            update_fields=["width", "taken", "stuck", "at"],
        )


class Places(models.Model):
    """The places of one worker process for the calls of one consumer."""

    worker = models.CharField(_("worker"), max_length=100)
    consumer = models.CharField(_("consumer"), max_length=NAME_LENGTH)
    width = models.PositiveIntegerField(_("places"))
    taken = models.PositiveIntegerField(_("places taken"))
    stuck = models.PositiveIntegerField(_("calls given up that still run"), default=0)
    at = models.DateTimeField(_("said"), db_default=Now())

    objects = PlacesQuerySet.as_manager()

    class Meta:
        verbose_name = _("places of a worker")
        verbose_name_plural = _("places of workers")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["consumer", "worker"], name="outbox_places_once")]

    def __str__(self) -> str:
        return f"{self.worker}: {self.taken} of {self.width} for {self.consumer}"
