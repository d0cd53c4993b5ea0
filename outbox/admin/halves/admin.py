"""Half messages on the desk: a list by state, and the page of each with what its check was asked and said."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox import audit
from outbox.admin import timeline
from outbox.admin.base import DeskAdmin, find_row, narrowed, neighbours, page_of, refuse_for, revision_now, word_of
from outbox.admin.forms import Panel, lacks_permission
from outbox.admin.halves.forms import FORMS, AskAgainForm, PublishForm, TakeBackForm
from outbox.admin.json_text import as_json
from outbox.admin.messages.masking import mask_payload
from outbox.admin.tones import Tone
from outbox.external.halves.deciding import why_not
from outbox.models import Half, HalfAnswer, HalfState, Said
from outbox.models.half import UNSETTLED
from outbox.operate.actions import Action

PER_PAGE = 50
ANSWERS_SHOWN = 100
TONES = {
    HalfState.OPEN: Tone.WAIT,
    HalfState.UNKNOWN: Tone.BAD,
    HalfState.PUBLISHED: Tone.GOOD,
    HalfState.TAKEN_BACK: Tone.CLOSED,
}
ANSWER_TONES = {Said.YES: Tone.GOOD, Said.NO: Tone.CLOSED, Said.ASKED: Tone.BUSY, Said.NOT_YET: Tone.WAIT}
"""Of what a check can say; all else has gone wrong."""


@dataclass(frozen=True, slots=True)
class ShownHalf:
    """A half message, and how it stands."""

    half: Half

    @property
    def tone(self) -> Tone:
        """How it stands, as a colour."""
        return TONES[HalfState(self.half.state)]

    @property
    def state(self) -> str:
        """How it stands, in a word."""
        return str(HalfState(self.half.state).label)

    @property
    def means(self) -> str:
        """What that means, and what there is to do."""
        match self.half.state:
            case HalfState.OPEN if not self.half.asked:
                return _("Its producer may still be at work. Its check is asked when the producer's time is over.")
            case HalfState.OPEN:
                return _("Nobody knows yet whether the write was done. Its check is asked again by itself.")
            case HalfState.UNKNOWN:
                return _(
                    "The check was asked often enough and does not know. Look on the other side whether the write is "
                    "there, by its id. If it is, publish; if it is not and cannot come any more, take it back."
                )
            case HalfState.PUBLISHED:
                return _("It has become the message, by %(who)s.") % {"who": self.half.get_settled_by_display()}
            case _:
                return _("It was taken back, by %(who)s. No message was published.") % {
                    "who": self.half.get_settled_by_display()
                }


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """A question, and what came of it."""

    answer: HalfAnswer

    @property
    def tone(self) -> Tone:
        """How good it is, as a colour."""
        return ANSWER_TONES.get(Said(self.answer.said), Tone.BAD)

    @property
    def said(self) -> str:
        """What was said."""
        return str(Said(self.answer.said).label)


@admin.register(Half)
class HalfAdmin(DeskAdmin):
    """Half messages: looked at here, decided about through ``outbox.external.halves.deciding`` alone."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show those that are not settled, or those of one state, the newest first."""
        self.check_view_permission(request)
        state = word_of(request, "state")
        chosen = [HalfState(state)] if state in HalfState.values else list(UNSETTLED)
        # Not settled are few; of the others the index has the newest first.
        rows = Half.objects.filter(state__in=chosen).order_by("-pk").defer("payload_json", "headers_json")
        page = page_of(rows, request, PER_PAGE)
        tabs = [("", _("not settled")), *((each.value, str(each.label)) for each in HalfState)]
        context = {
            **self.page_context(request, gettext_lazy("Half messages")),
            "rows": [ShownHalf(half) for half in page.object_list],
            "tabs": [
                {
                    "url": narrowed(state=value),
                    "label": label,
                    "is_chosen": value == (state if len(chosen) == 1 else ""),
                }
                for value, label in tabs
            ],
            **neighbours(page, state=state),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/halves.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, _form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a half message, or do what was decided and show it again."""
        self.check_view_permission(request)
        half = find_row(Half.objects.all(), object_id)
        if half is None:
            messages.warning(request, _("This half message is not there any more."))
            return HttpResponseRedirect(self.list_url())
        bound = None
        if request.method == "POST":
            bound = self._posted(request)
            if self.carry_out(
                request,
                bound,
                half.pk,
                seen=lambda: revision_now(Half.objects.filter(pk=half.pk)),
                done=lambda: bound.done,
            ):
                return HttpResponseRedirect(request.path)
        acts = audit.acts_about(str(half), Action.HALF_PUBLISH, Action.HALF_TAKE_BACK, Action.HALF_ASK)
        answers = half.answers.order_by("-number")[:ANSWERS_SHOWN]
        revealed = request.user.has_perm("outbox.view_payload")
        context = {
            **self.page_context(request, str(half)),
            "shown": ShownHalf(half),
            "half": half,
            "payload": as_json(half.payload if revealed else mask_payload(half.payload)),
            "answers": [ShownAnswer(answer) for answer in answers],
            "panels": [] if half.settled_at else self._panels(request, half, bound),
            "common_refusal": "" if half.settled_at else why_not(half),
            "events": [timeline.action_event(entry) for entry in acts],
            "here": request.path,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/half.html", context)

    def _posted(self, request: HttpRequest) -> PublishForm | TakeBackForm | AskAgainForm:
        offered = {form.act.value: form for form in FORMS}
        act = request.POST.get("act", "")
        refuse_for("", offered=act in offered)
        return offered[act](request.POST)

    def _panels(self, request: HttpRequest, half: Half, bound: Any) -> list[Panel]:
        panels = []
        for form in FORMS:
            shown = (
                bound if bound is not None and isinstance(bound, form) else form(initial={"revision": half.revision})
            )
            refusal = lacks_permission(form.act, request.user) or ("" if form is AskAgainForm else why_not(half))
            panels.append(Panel(shown, refusal, is_open=shown.is_bound))
        return panels
