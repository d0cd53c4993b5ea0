"""The forms by which a person makes an API token for themselves, and lets one give nothing any more."""

from datetime import timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from outbox.admin.forms import ReasonedForm
from outbox.conf import conf
from outbox.models import ApiToken, TokenScope
from outbox.models.api import TOKEN_NAME_LENGTH
from outbox.operate import Actor
from outbox.operate.actions import Action
from outbox.operate.tokens import Owner, make_token, revoke_token

DAYS = 30
"""How long a token is valid unless one says otherwise."""


class MakeForm(ReasonedForm):
    """Make a token that acts for whoever makes it."""

    act = Action.TOKEN_MAKE
    title = _("Make a token")
    button = _("Make the token")
    promise = _("A program that shows it acts in your name, as far as its scopes go and never further than you may.")

    name = forms.CharField(
        label=_("Name of the token"),
        max_length=TOKEN_NAME_LENGTH,
        help_text=_("By which the audit tells it from others: what the program is, and where it runs."),
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it is for"), choices=TokenScope.choices, widget=forms.CheckboxSelectMultiple
    )
    days = forms.IntegerField(label=_("Valid for so many days"), min_value=1, initial=DAYS)
    field_order = ["name", "scopes", "days", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        most = max(conf().api_token_life.days, 1)
        days = self.fields["days"]
        days.help_text = gettext("At most %(days)d.") % {"days": most}
        days.validators.append(MaxValueValidator(most, days.help_text))
        days.widget.attrs["max"] = most
        days.initial = min(DAYS, most)

    def carry_out(self, owner: Owner, *, actor: Actor, origin: str) -> None:
        """Make it, and keep it and its secret for the page."""
        given = self.cleaned_data
        lasting = min(timedelta(days=given["days"]), conf().api_token_life)
        self.made: tuple[ApiToken, str] = make_token(
            name=given["name"],
            owner=owner,
            scopes=given["scopes"],
            lasting=lasting,
            actor=actor,
            reason=given["reason"],
            origin=origin,
        )


class RevokeForm(ReasonedForm):
    """Let a token give nothing from now on."""

    act = Action.TOKEN_REVOKE
    title = _("Revoke")
    button = _("Revoke the token")
    button_class = "desk-danger"
    promise = _("From now on every call with it is refused. This cannot be taken back.")
    done = _("Revoked: nobody gets in with it any more.")

    def carry_out(self, token_id: int, *, actor: Actor, origin: str) -> None:
        """Revoke it."""
        revoke_token(token_id, actor=actor, reason=self.cleaned_data["reason"], origin=origin)
