"""The form that takes a list of people who have earned a draw."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from awards.admin.moments import MomentField, refuse_past
from awards.admin.uploads import text_of, within_limit
from awards.models import Campaign
from awards.models.entitlement import SOURCE_LENGTH
from awards.persons import FaultyPerson, read_persons

MOST_LINES = 100_000
MOST_FAULTS_SHOWN = 50
FILE_LIMIT = 16 * 1024 * 1024


class ImportForm(forms.Form):
    """For which campaign, until when, and who. It is valid only if every line can be taken."""

    campaign = forms.ModelChoiceField(label=gettext_lazy("Campaign"), queryset=Campaign.objects.order_by("-starts_at"))
    expires_at = MomentField(
        label=gettext_lazy("Valid until"),
        required=False,
        help_text=gettext_lazy("Leave empty for as long as the campaign runs."),
        validators=[refuse_past],
    )
    listed = forms.CharField(
        label=gettext_lazy("People"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 10, "cols": 40, "spellcheck": "false", "autocomplete": "off"}),
        help_text=gettext_lazy("One a line: the person, a comma, and what earned the draw, such as an order’s number."),
    )
    file = forms.FileField(
        label=gettext_lazy("Or a file"),
        required=False,
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,text/csv,text/plain"}),
        help_text=gettext_lazy("CSV in UTF-8 with the same two columns, at most 16 MiB and 100,000 lines."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries: tuple[tuple[str, str], ...] = ()
        self.faults: list[str] = []

    def clean(self) -> dict[str, Any]:
        """Read the list; whatever is wrong with it is said line by line, in ``faults``."""
        cleaned = super().clean() or self.cleaned_data
        pasted, file, campaign = cleaned.get("listed", ""), cleaned.get("file"), cleaned.get("campaign")
        refuse_before_the_campaign(self)
        if self.errors or not isinstance(campaign, Campaign):
            return cleaned
        if bool(pasted.strip()) == bool(file):
            raise forms.ValidationError(_("Paste the list, or choose a file."))
        text = text_of(file, FILE_LIMIT) if file else within_limit(pasted)
        found = read_persons(text, ignores_tags=campaign.ignores_tags)
        self._refuse_faults(found.faulty_lines)
        if not found.entries:
            raise forms.ValidationError(_("There is nobody in it."))
        if len(found.entries) > MOST_LINES:
            raise forms.ValidationError(_("These are too many lines: give at most 100,000 at once."))
        self.entries = found.entries
        return cleaned

    def _refuse_faults(self, faulty: tuple[FaultyPerson, ...]) -> None:
        if not faulty:
            return
        self.faults = [_explain(line) for line in faulty[:MOST_FAULTS_SHOWN]]
        if (more := len(faulty) - MOST_FAULTS_SHOWN) > 0:
            said = ngettext("And %(count)d line more.", "And %(count)d lines more.", more)
            self.faults.append(said % {"count": more})
        said = ngettext(
            "Nothing was given: %(count)d line cannot be taken.",
            "Nothing was given: %(count)d lines cannot be taken.",
            len(faulty),
        )
        raise forms.ValidationError(said % {"count": len(faulty)})


def refuse_before_the_campaign(form: forms.BaseForm) -> None:
    """Refuse a right that ends before anybody can draw by it. The form has ``campaign`` and ``expires_at``."""
    campaign, expires_at = form.cleaned_data.get("campaign"), form.cleaned_data.get("expires_at")
    if isinstance(campaign, Campaign) and expires_at is not None and expires_at <= campaign.starts_at:
        form.add_error("expires_at", _("The campaign has not begun by then, so nobody could draw."))


def _explain(line: FaultyPerson) -> str:
    match line.fault:
        case "columns":
            said = _("Line %(line)d: give two columns, the person and what earned the draw.")
        case "person":
            said = _("Line %(line)d: this is no name or address that can be kept.")
        case "source":
            said = _("Line %(line)d: say what earned the draw in 1 to %(most)d characters that are seen.")
        case _:
            said = _("Line %(line)d: the same has earned a draw in an earlier line.")
    return said % {"line": line.line, "most": SOURCE_LENGTH}
