"""The quarantine on the desk: a list, the page of each message, and one for all that were selected."""

import json
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from outbox import audit
from outbox.admin import timeline
from outbox.admin.base import DeskAdmin, ReadOnlyAdmin, find_row, narrowed, neighbours, page_of, refuse_for, word_of
from outbox.admin.forms import Panel, lacks_permission
from outbox.admin.quarantine.forms import FORMS, DiscardForm, TakeInForm
from outbox.admin.tones import Tone
from outbox.errors import OperatorError
from outbox.external.ingest.acts import reveal_quarantined, subject_of
from outbox.models import Quarantined, QuarantineState, SourceState
from outbox.models.row_ids import read_id
from outbox.operate.actions import Action
from outbox.operate.origin import origin_of
from outbox.sources import Incoming

PER_PAGE = 50
BODY_SHOWN = 20_000
"""Characters of a body that the page shows."""
TONES = {QuarantineState.OPEN: Tone.BAD, QuarantineState.TAKEN_IN: Tone.GOOD, QuarantineState.DISCARDED: Tone.CLOSED}


@dataclass(frozen=True, slots=True)
class Shown:
    """A quarantined message, and how it stands."""

    row: Quarantined

    @property
    def tone(self) -> Tone:
        """How it stands, as a colour."""
        return TONES[QuarantineState(self.row.state)]

    @property
    def state(self) -> str:
        """How it stands, in a word."""
        return str(QuarantineState(self.row.state).label)

    @property
    def reason(self) -> str:
        """Why it could not be taken in."""
        return str(self.row.get_reason_display())

    @property
    def is_open(self) -> bool:
        """Tell whether it waits for a person."""
        return self.row.state == QuarantineState.OPEN


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that was selected and left out, and why."""

    row: Quarantined
    why: str


@admin.register(Quarantined)
class QuarantinedAdmin(DeskAdmin):
    """What could not be taken in: looked at here, settled through ``outbox.external.ingest.acts`` alone."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page that settles what was selected."""
        picked = path("settle/", self.admin_site.admin_view(self.settle_view), name="outbox_quarantined_settle")
        return [picked, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show what is quarantined, the newest first."""
        self.check_view_permission(request)
        source, state = word_of(request, "source"), word_of(request, "state")
        state = state if state in QuarantineState.values else QuarantineState.OPEN.value
        rows = Quarantined.objects.filter(state=state).defer("body", "properties", "headers").order_by("-pk")
        page = page_of(rows.filter(source=source) if source else rows, request, PER_PAGE)
        context = {
            **self.page_context(request, gettext_lazy("Quarantine")),
            "rows": [Shown(row) for row in page.object_list],
            "tabs": [
                {"url": narrowed(state=value, source=source), "label": label, "is_chosen": value == state}
                for value, label in QuarantineState.choices
            ],
            "source": source,
            "everything_url": narrowed(state=state),
            "may_pick": state == QuarantineState.OPEN,
            "refusal": lacks_permission(Action.TAKE_IN, request.user),
            **neighbours(page, state=state, source=source),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/quarantine.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, _form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a message, or do to it what was posted and show it again."""
        self.check_view_permission(request)
        row = find_row(Quarantined.objects.all(), object_id)
        if row is None:
            messages.warning(request, _("The quarantined message is not there any more."))
            return HttpResponseRedirect(self.list_url())
        bound: TakeInForm | DiscardForm | None = None
        revealed: Incoming | None = None
        if request.method == "POST" and request.POST.get("act") == Action.REVEAL:
            revealed = self._reveal(request, row)
        elif request.method == "POST":
            form_class = FORMS.get(request.POST.get("act", ""))
            if form_class is None:
                raise PermissionDenied
            bound = form_class(request.POST)
            if self.carry_out(request, bound, row.pk, seen=dict, done=lambda: bound and bound.done):
                return HttpResponseRedirect(request.path)
        context = {
            **self.page_context(request, str(row)),
            "shown": Shown(row),
            "row": row,
            "panels": _panels(row, bound, lacks_permission(Action.TAKE_IN, request.user)),
            "revealed": None if revealed is None else _as_text(revealed),
            "reveal_refusal": lacks_permission(Action.REVEAL, request.user),
            "events": [
                timeline.action_event(entry)
                for entry in audit.acts_about(
                    subject_of(row), Action.TAKE_IN, Action.DISCARD_QUARANTINED, Action.REVEAL
                )
            ],
            "here": request.path,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/quarantined.html", context)

    def settle_view(self, request: HttpRequest) -> HttpResponse:
        """Show what was selected and ask for a reason; with one, settle each and tell the result."""
        self.check_view_permission(request)
        form_class = FORMS.get(request.POST.get("act", ""))
        ids = [id for id in map(read_id, request.POST.getlist("pick")[:PER_PAGE]) if id is not None]
        rows = list(Quarantined.objects.open().filter(pk__in=ids).defer("body", "properties", "headers"))
        if request.method != "POST" or form_class is None or not rows:
            messages.warning(request, _("Nothing was selected."))
            return HttpResponseRedirect(self.list_url())
        refuse_for(lacks_permission(form_class.act, request.user))
        form = form_class(request.POST) if "confirmed" in request.POST else form_class()
        refused: list[Refused] = []
        tried = form.is_bound and form.is_valid()
        if tried:
            refused = self._settle_each(request, form, rows)
            if not refused:
                return HttpResponseRedirect(self.list_url())
        context = {
            **self.page_context(request, form.title),
            "form": form,
            "rows": [Shown(row) for row in rows],
            "refused": refused,
            "tried": tried,
            "list_url": self.list_url(),
            "here": request.path,
        }
        return TemplateResponse(request, "outbox/desk/quarantine_settle.html", context)

    def _settle_each(
        self, request: HttpRequest, form: TakeInForm | DiscardForm, rows: list[Quarantined]
    ) -> list[Refused]:
        refused = []
        for row in rows:
            try:
                form.carry_out(row.pk, actor=request.user, origin=origin_of(request))
            except OperatorError as refusal:
                refused.append(Refused(row, str(refusal)))
        done = len(rows) - len(refused)
        if done:
            text = ngettext("%(count)d message is settled.", "%(count)d messages are settled.", done)
            messages.success(request, text % {"count": done})
        return refused

    def _reveal(self, request: HttpRequest, row: Quarantined) -> Incoming | None:
        try:
            return reveal_quarantined(row.pk, actor=request.user, origin=origin_of(request))
        except OperatorError as refusal:
            messages.error(request, str(refusal))
            return None


@admin.register(SourceState)
class SourceStateAdmin(ReadOnlyAdmin):
    """How each source stands, as its receivers have said."""

    list_display = ("source", "hold", "taken", "known", "quarantined", "last_taken_at", "at")


def _panels(row: Quarantined, bound: TakeInForm | DiscardForm | None, refusal: str) -> list[Panel]:
    """Return the acts that are open, the one that was refused with what was entered."""
    if row.state != QuarantineState.OPEN:
        return []
    forms = [bound if bound is not None and isinstance(bound, kind) else kind() for kind in FORMS.values()]
    return [Panel(form, refusal, is_open=form.is_bound) for form in forms]


def _as_text(incoming: Incoming) -> dict[str, str]:
    """Return what the sender gave, as text that a page can show; a part of it where it is long."""
    return {
        "body": incoming.body[: BODY_SHOWN * 4].decode("utf-8", "backslashreplace")[:BODY_SHOWN],
        "properties": _as_json(incoming.properties),
        "headers": _as_json(incoming.headers),
        "cut": str(len(incoming.body)) if len(incoming.body) > BODY_SHOWN else "",
    }


def _as_json(value: Any) -> str:
    return json.dumps(value, default=repr, ensure_ascii=False, indent=2, sort_keys=True)[:BODY_SHOWN]
