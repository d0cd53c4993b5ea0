"""Gaps on the desk: a list, and the page of each with what its sender says of it."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox import audit
from outbox.admin import timeline
from outbox.admin.base import DeskAdmin, ReadOnlyAdmin, find_row, narrowed, neighbours, page_of, word_of
from outbox.admin.forms import Panel, lacks_permission
from outbox.admin.gaps.forms import CloseForm
from outbox.admin.tones import Tone
from outbox.external.sequences.acts import subject_of
from outbox.models import Gap, SaidOfGap, SequenceStream, WatchedStream
from outbox.operate.actions import Action

PER_PAGE = 50
TONES = {SaidOfGap.SENT: Tone.BAD, SaidOfGap.FAILED: Tone.WAIT, SaidOfGap.OPEN: Tone.BUSY}
CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Shown:
    """A gap, and how it stands."""

    gap: Gap

    @property
    def tone(self) -> Tone:
        """How it stands, as a colour."""
        return Tone.CLOSED if self.gap.closed_at else TONES[SaidOfGap(self.gap.said)]

    @property
    def state(self) -> str:
        """How it stands, in a word."""
        return _("closed") if self.gap.closed_at else _("missing")

    @property
    def said(self) -> str:
        """What its sender says of it, or how it was closed."""
        return str(self.gap.get_end_display() if self.gap.closed_at else self.gap.get_said_display())

    @property
    def means(self) -> str:
        """What that means, and what there is to do."""
        if self.gap.closed_at:
            return _("Nothing is to be done.")
        match self.gap.said:
            case SaidOfGap.SENT:
                return _(
                    "It was lost on the way, or taken from the queue by somebody else. Ask its sender by stream and "
                    "number: there, “outbox_sequences explain” and the search of the desk say which message it is. "
                    "Replayed there, it comes under another number; then close this gap."
                )
            case SaidOfGap.FAILED:
                return _("Nobody has lost it. Its sender's people must retry it or discard it; then this gap closes.")
            case _:
                return _("Nothing is to be done: the gap closes when it comes.")


@admin.register(Gap)
class GapAdmin(DeskAdmin):
    """What is missing: looked at here, closed through ``outbox.external.sequences.acts`` alone."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show what is missing, or what was closed, the newest first."""
        self.check_view_permission(request)
        source, state = word_of(request, "source"), word_of(request, "state")
        is_closed = state == CLOSED
        rows = Gap.objects.filter(closed_at__isnull=not is_closed).select_related("watched").order_by("-pk")
        rows = rows.filter(watched__source=source) if source else rows
        page = page_of(rows, request, PER_PAGE)
        context = {
            **self.page_context(request, gettext_lazy("Gaps")),
            "rows": [Shown(gap) for gap in page.object_list],
            "tabs": [
                {"url": narrowed(source=source), "label": _("missing"), "is_chosen": not is_closed},
                {"url": narrowed(source=source, state=CLOSED), "label": _("closed"), "is_chosen": is_closed},
            ],
            "source": source,
            "everything_url": narrowed(state=state),
            **neighbours(page, state=state, source=source),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/gaps.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, _form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a gap, or close it and show it again."""
        self.check_view_permission(request)
        gap = find_row(Gap.objects.select_related("watched"), object_id)
        if gap is None:
            messages.warning(request, _("The gap is not there any more."))
            return HttpResponseRedirect(self.list_url())
        form = CloseForm()
        if request.method == "POST":
            if request.POST.get("act") != Action.CLOSE_GAP:
                raise PermissionDenied
            form = CloseForm(request.POST)
            if self.carry_out(request, form, gap.pk, seen=dict, done=lambda: form.done):
                return HttpResponseRedirect(request.path)
        refusal = lacks_permission(Action.CLOSE_GAP, request.user)
        context = {
            **self.page_context(request, str(gap)),
            "shown": Shown(gap),
            "gap": gap,
            "panels": [] if gap.closed_at else [Panel(form, refusal, is_open=form.is_bound)],
            "events": [
                timeline.action_event(entry) for entry in audit.acts_about(subject_of(gap.pk), Action.CLOSE_GAP)
            ],
            "here": request.path,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/gap.html", context)


@admin.register(WatchedStream)
class WatchedStreamAdmin(ReadOnlyAdmin):
    """The streams of others: how far each has come, and when its sender was last heard of."""

    list_display = ("source", "stream", "epoch", "high", "beat_at", "at")
    search_fields = ("=stream", "=source")


@admin.register(SequenceStream)
class SequenceStreamAdmin(ReadOnlyAdmin):
    """Our own streams: how many numbers each has given, and when its receivers were last told."""

    list_display = ("forward", "routing_key", "epoch", "is_current", "given", "said_at", "error")
    search_fields = ("=forward", "=routing_key")
