"""How far a message has come, in the words that operators use."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """The four statuses as operators know them; the manual's state picture shows how they follow each other."""

    PENDING = "pending", _("pending")
    STARTED = "started", _("started")
    SUCCESS = "success", _("success")
    FAILED = "failed", _("failed")


class Resolution(models.TextChoices):
    """What a person did with a failed message, or that it was closed or taken back: nobody needs it any more."""

    NONE = "", _("unresolved")
    HANDLED = "handled", _("handled by hand")
    DISCARDED = "discarded", _("discarded")
    OVERDUE = "overdue", _("overdue")
    WITHDRAWN = "withdrawn", _("withdrawn")


class HandledAs(models.TextChoices):
    """How the matter was settled, or why nothing is due, when a person marks a message as handled."""

    ISSUED = "issued", _("issued outside the system")
    COMPENSATED = "compensated", _("compensated otherwise")
    NOT_DUE = "not_due", _("not due")
