"""How far a promise has come, in the words that operators use."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """The four statuses as operators know them; the README's state picture shows how they follow each other."""

    PENDING = "pending", _("pending")
    STARTED = "started", _("started")
    SUCCESS = "success", _("success")
    FAILED = "failed", _("failed")


class Resolution(models.TextChoices):
    """What a person did with a failed message, or that it was closed because nobody needs it any more."""

    NONE = "", _("unresolved")
    HANDLED = "handled", _("handled by hand")
    DISCARDED = "discarded", _("discarded")
    OVERDUE = "overdue", _("overdue")


class HandledAs(models.TextChoices):
    """How a promise was kept, or why it need not be, when a person marks it as handled."""

    ISSUED = "issued", _("issued outside the system")
    COMPENSATED = "compensated", _("compensated otherwise")
    NOT_DUE = "not_due", _("not due")
