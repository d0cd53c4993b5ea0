"""Who is blocked from drawing."""

from datetime import datetime
from ipaddress import ip_address
from typing import Any

from django.contrib import admin
from django.forms import Script
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from awards.admin.forms import VisibleTextForm
from awards.admin.moments import MomentField, refuse_past
from awards.admin.whole_rows import SecondLook, WholeRowForm
from awards.errors import InvalidPerson
from awards.models import Block, BlockKind
from awards.persons import identity


class BlockForm(VisibleTextForm, WholeRowForm):
    """A block, whose subject is written as draws write it."""

    class Meta:
        model = Block
        fields = ("kind", "subject", "reason", "until")

    until = MomentField(label=gettext_lazy("Until"), required=False, help_text=gettext_lazy("Leave empty for always."))

    def clean_until(self) -> datetime | None:
        """Refuse an end that is over, unless it was there before."""
        until: datetime | None = self.cleaned_data["until"]
        if until is not None and "until" in self.changed_data:
            refuse_past(until)
        return until

    def clean(self) -> dict[str, Any]:
        """Write a person as draws do, and an address as it is compared."""
        cleaned = super().clean() or self.cleaned_data
        kind, subject = cleaned.get("kind"), cleaned.get("subject")
        try:
            if subject and kind == BlockKind.PERSON:
                cleaned["subject"] = identity(subject)
            elif subject:
                cleaned["subject"] = str(ip_address(subject.strip()))
        except InvalidPerson:
            self.add_error("subject", _("A name or an e-mail address, without characters that are not seen."))
        except ValueError:
            self.add_error("subject", _("A network address, such as 203.0.113.7."))
        return cleaned


@admin.register(Block)
class BlockAdmin(SecondLook, admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker only
    """The list of blocks. A draw that it meets is refused before luck is asked."""

    form = BlockForm
    list_display = ("subject", "kind", "reason", "until", "blocked_by", "blocked_at")
    list_filter = ("kind",)
    search_fields = ("subject",)
    show_facets = admin.ShowFacets.NEVER
    ordering = ("-pk",)
    fields = ("kind", "subject", "reason", "until")

    class Media:
        css = {"all": ["awards/admin.css"]}
        js = [Script("awards/lists.js", defer=True)]

    def save_model(self, request: HttpRequest, obj: Block, _form: Any, _change: bool) -> None:
        """Write down who did it."""
        obj.blocked_by = request.user.get_username()
        obj.save()
