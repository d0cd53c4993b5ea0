"""Views of the work queue that operators have saved under a name."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.note import OWNER_LENGTH
from outbox.models.state import EngineQuerySet

NAME_OF_VIEW_LENGTH = 60
QUERY_LENGTH = 1_000


class SavedViewQuerySet(EngineQuerySet["SavedView"]):
    """Saved views, on the engine's database."""

    def offered_to(self, owner: str) -> Self:
        """Keep somebody's own views and those that others share; one's own come first."""
        mine = models.Case(models.When(owner=owner, then=0), default=1, output_field=models.IntegerField())
        return self.filter(Q(owner=owner) | Q(is_shared=True)).order_by(mine, "name", "id")


class SavedView(models.Model):
    """An address of the work queue, what stands behind its ``?``, under a name: for its owner, or shared with all."""

    id = models.BigAutoField(primary_key=True)
    owner = models.CharField(_("whose"), max_length=OWNER_LENGTH)
    name = models.CharField(_("name"), max_length=NAME_OF_VIEW_LENGTH)
    query = models.CharField(_("address"), max_length=QUERY_LENGTH, default="", blank=True)
    is_shared = models.BooleanField(_("shared with all"), default=False)
    revision = models.PositiveIntegerField(_("operator changes"), default=0)
    at = models.DateTimeField(_("saved"), db_default=Now())

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        default_permissions = ()
        permissions = [
            ("save_view", _("Can save views of the work queue and share them")),
            ("tend_views", _("Can rename and delete views that others share")),
        ]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="outbox_savedview_once")]
        indexes = [models.Index(fields=["is_shared"], condition=Q(is_shared=True), name="outbox_savedview_shared")]

    def __str__(self) -> str:
        return self.name
