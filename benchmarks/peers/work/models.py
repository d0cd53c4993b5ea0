"""The business row of the work, and the one update that a handler makes."""

from typing import Any

from django.db import models

MESSAGE_BYTES = 400


class AwardQuerySet(models.QuerySet["Award"]):
    """Awards, and how they are issued."""

    def issue(self) -> int:
        """Mark the awards as issued. A trigger counts, so that an effect that happens twice is seen, and notes when."""
        return self.update(status="issued")


class Award(models.Model):
    """Something won, to be issued exactly once. Nothing that issuing changes is indexed."""

    person = models.CharField(max_length=200)
    status = models.CharField(max_length=8, default="won")
    times = models.PositiveIntegerField(default=0)
    issued_at = models.DateTimeField(null=True)

    objects = AwardQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.person}: {self.status}"


def payload_of(award: int) -> dict[str, Any]:
    """Return what a message says of an award, as 400 bytes of JSON."""
    payload = {"award": award, "person": f"person-{award}@example.com", "prize": "50 points", "language": "en"}
    return {**payload, "note": "x" * (MESSAGE_BYTES - 100 - 2 * len(str(award)))}
