"""The forms by which campaigns are managed: prizes, changes of stock, and lists of codes."""

import uuid
from dataclasses import replace
from typing import Any

from django import forms
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from awards.admin.error_texts import explain_faulty_line
from awards.admin.uploads import text_of, within_limit
from awards.admin.whole_rows import WholeRowForm
from awards.characters import JOINERS, LINE_ENDS, find_invisible
from awards.codes import CodeList, FaultyLine, LineFault, read_codes
from awards.models import Award, Coupon, Prize, StockAct
from awards.models.coupon import CODE_LENGTH
from awards.models.prize import MOST_STOCK
from awards.models.stock import STOCK_REASON_LENGTH
from awards.services import campaigns
from awards.services.campaigns import StockChangeRequest

MOST_CODES = 20_000
MOST_FAULTS_SHOWN = 50
"""Faulty lines that are told; more are counted."""


class VisibleTextForm(forms.BaseForm):
    """A form whose texts hold nothing that is not seen, but for line ends where there are lines, and for joiners."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, forms.CharField) and not isinstance(field, forms.UUIDField):
                lines = isinstance(field.widget, forms.Textarea)
                field.validators.append(refuse_invisible_in_lines if lines else refuse_invisible)


def refuse_invisible(text: str, *, but: frozenset[str] = JOINERS) -> None:
    """Refuse a text with a character that is not seen."""
    if character := find_invisible(text, but=but):
        said = _("Take out the character U+%(code)s: it is not seen, or turns the direction of writing.")
        raise forms.ValidationError(said % {"code": f"{ord(character):04X}"})


def refuse_invisible_in_lines(text: str) -> None:
    """Refuse the same in a text of several lines."""
    refuse_invisible(text, but=JOINERS | LINE_ENDS)


class CampaignForm(VisibleTextForm, WholeRowForm):
    """A campaign, whose address stays once anybody may know it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        slug = self.fields.get("slug")
        if slug is None:
            return
        said = _("Use letters from a to z, digits, hyphens and underscores, such as summer-raffle-2026.")
        slug.error_messages["invalid"] = said
        slug.help_text = _("The end of its page's address, such as summer-raffle-2026.")
        if self.instance.pk and campaigns.traces_of(self.instance).is_known:
            slug.disabled = True
            slug.help_text = _("It stays: people have links to this address, or have drawn here.")


class PrizeForm(VisibleTextForm, WholeRowForm):
    """A prize. Its stock is given once, and changed afterwards by acts alone, as draws take from it all the time."""

    class Meta:
        model = Prize
        fields = (
            "name",
            "kind",
            "value",
            "vendor_sku",
            "weight",
            "stock",
            "claim_days",
            "returns_to_stock",
            "starts_at",
            "ends_at",
            "wins_per_day",
            "wins_per_person",
            "is_fallback",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = str(field.label)
        if self.instance.pk and "stock" in self.fields:
            self.fields["stock"].disabled = True
            self.fields["stock"].widget.attrs["title"] = _("Changed on the prize's own page")

    def clean_kind(self) -> str:
        """Refuse to turn a prize into another kind once anybody has won it, or codes are there for it."""
        kind = str(self.cleaned_data["kind"])
        if self.instance.pk and kind != self.initial.get("kind") and _is_in_use(self.instance):
            raise forms.ValidationError(
                _("It has been won, or has codes, so its kind stays. Give it the weight 0 and add another prize.")
            )
        return kind


def _is_in_use(prize: Prize) -> bool:
    return Award.objects.filter(prize=prize).exists() or Coupon.objects.filter(prize=prize).exists()


class PrizeFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]  # the same
    """The prizes of a campaign, of which only what was changed is written: never a stock that draws have changed."""

    def save_existing(self, form: Any, obj: Any, commit: bool = True) -> Any:
        """Write the fields that were changed in the form, and no other."""
        if commit:
            obj.save(update_fields=form.changed_data)
        return obj


class StockForm(VisibleTextForm, forms.Form):
    """An act on a stock: which, how much, and why."""

    request_id = forms.UUIDField(widget=forms.HiddenInput)
    act = forms.ChoiceField(label=gettext_lazy("What to do"))
    pieces = forms.IntegerField(label=gettext_lazy("Pieces"), min_value=0, max_value=MOST_STOCK, required=False)
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=STOCK_REASON_LENGTH,
        help_text=gettext_lazy("Kept with the change, for whoever asks later."),
    )

    def __init__(self, *args: Any, limited: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["request_id"] = uuid.uuid4()
        acts = [StockAct.ADD, StockAct.REMOVE, StockAct.UNLIMIT] if limited else [StockAct.LIMIT]
        labels = {
            StockAct.ADD: _("Add to the stock"),
            StockAct.REMOVE: _("Remove from the stock"),
            StockAct.LIMIT: _("Set a limit"),
            StockAct.UNLIMIT: _("Take the limit off"),
        }
        choice = self.fields["act"]
        assert isinstance(choice, forms.ChoiceField)  # noqa: S101  # for the type checker
        # Another act may have become the right one meanwhile; then the refusal says more than "invalid choice".
        offered = [*acts, *(act for act in StockAct if act not in acts)] if self.is_bound else acts
        choice.choices = [(act.value, labels[act]) for act in offered]

    def clean(self) -> dict[str, Any]:
        """Insist on a number where one is needed."""
        cleaned = super().clean() or self.cleaned_data
        act, pieces = cleaned.get("act"), cleaned.get("pieces")
        if "pieces" not in self.errors and act and act != StockAct.UNLIMIT:
            if pieces is None:
                self.add_error("pieces", _("Say how many."))
            elif not pieces and act != StockAct.LIMIT:
                self.add_error("pieces", _("Give at least 1."))
        return cleaned

    @property
    def change_request(self) -> StockChangeRequest:
        """What was entered."""
        act = StockAct(self.cleaned_data["act"])
        return StockChangeRequest(
            act=act,
            pieces=None if act is StockAct.UNLIMIT else self.cleaned_data["pieces"],
            reason=self.cleaned_data["reason"],
            request_id=self.cleaned_data["request_id"],
        )


class CodesForm(forms.Form):
    """A list of codes, pasted or as a file. It is valid only if every line of it can be taken."""

    codes = forms.CharField(
        label=gettext_lazy("Codes"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 12, "cols": 40, "spellcheck": "false", "autocomplete": "off"}),
        help_text=gettext_lazy("One a line."),
    )
    file = forms.FileField(
        label=gettext_lazy("Or a file"),
        required=False,
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,text/csv,text/plain"}),
        help_text=gettext_lazy("CSV or TXT, UTF-8, one code a line, at most 1 MiB and 20,000 codes."),
    )

    def __init__(self, *args: Any, prize: Prize, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prize = prize
        self.code_list: CodeList | None = None
        self.faults: list[str] = []
        # Told with its line, like everything else that cannot be printed.
        field = self.fields["codes"]
        field.validators = [each for each in field.validators if not isinstance(each, ProhibitNullCharactersValidator)]

    def clean(self) -> dict[str, Any]:
        """Read the list; whatever is wrong with it is said line by line, in ``faults``."""
        cleaned = super().clean() or self.cleaned_data
        pasted, file = cleaned.get("codes", ""), cleaned.get("file")
        if "file" in self.errors:
            return cleaned
        if bool(pasted.strip()) == bool(file):
            raise forms.ValidationError(_("Paste the codes, or choose a file."))
        self.code_list = self._with_known(
            read_codes(text_of(file) if file else within_limit(pasted), longest=CODE_LENGTH)
        )
        self._refuse_faults(self.code_list)
        return cleaned

    def _with_known(self, code_list: CodeList) -> CodeList:
        """Return the code_list with a faulty line for each code that is in the pool already."""
        known = campaigns.known_codes(self.prize, code_list.codes)
        found = [FaultyLine(code_list.lines[code], LineFault.KNOWN) for code in known]
        return replace(
            code_list, faulty_lines=tuple(sorted([*code_list.faulty_lines, *found], key=lambda each: each.line))
        )

    def _refuse_faults(self, code_list: CodeList) -> None:
        if number := len(code_list.faulty_lines):
            self.faults = [explain_faulty_line(line) for line in code_list.faulty_lines[:MOST_FAULTS_SHOWN]]
            if number > MOST_FAULTS_SHOWN:
                more = ngettext("And %(count)d line more.", "And %(count)d lines more.", number - MOST_FAULTS_SHOWN)
                self.faults.append(more % {"count": number - MOST_FAULTS_SHOWN})
            said = ngettext(
                "Nothing was added: %(count)d line cannot be taken.",
                "Nothing was added: %(count)d lines cannot be taken.",
                number,
            )
            raise forms.ValidationError(said % {"count": number})
        if not code_list.codes:
            raise forms.ValidationError(_("There is no code in it."))
        if len(code_list.codes) > MOST_CODES:
            raise forms.ValidationError(
                _("These are %(count)d codes. Add at most %(limit)d at once.")
                % {
                    "count": len(code_list.codes),
                    "limit": MOST_CODES,
                }
            )
