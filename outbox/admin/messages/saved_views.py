"""Saved views of the work queue: the row of links above it, and the page on which they are renamed and deleted."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from outbox import operate
from outbox.admin.base import DeskAdmin, revision_now
from outbox.admin.forms import FencedForm, Panel, WordedForm, lacks_permission
from outbox.models import SavedView
from outbox.models.row_ids import read_id
from outbox.models.saved_view import NAME_OF_VIEW_LENGTH, QUERY_LENGTH
from outbox.operate import Actor
from outbox.operate.actions import Action

NARROWS = ("tab", "consumer", "group", "within", "mine", "error", "order")
"""What an address says of which messages are shown, cursors aside."""
SAVED = (*NARROWS, "q")
"""What is saved of an address."""


class SaveViewForm(WordedForm):
    """Save what is shown."""

    act = Action.SAVE_VIEW
    title = _("Save this view")
    button = _("Save")
    done = _("Saved. It stands above the queue.")

    name = forms.CharField(label=_("Name of the view"), max_length=NAME_OF_VIEW_LENGTH)
    is_shared = forms.BooleanField(label=_("For everybody"), required=False)
    query = forms.CharField(max_length=QUERY_LENGTH, required=False, widget=forms.HiddenInput)

    def carry_out(self, _nothing: None, *, actor: Actor, origin: str) -> None:
        """Save it."""
        given = {**self.cleaned_data, "query": kept(QueryDict(self.cleaned_data["query"]))}
        operate.save_view(**given, actor=actor, origin=origin)


class ViewForm(FencedForm):
    """An act on a view; a page has one for each view."""

    view = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    @classmethod
    def on(cls, view: SavedView) -> Self:
        """Return the form for a view as it is shown."""
        shown = {"view": view.pk, "revision": view.revision, "name": view.name}
        return cls(initial=shown, auto_id=f"{cls.act.value}-{view.pk}-%s")


class RenameViewForm(ViewForm):
    """Give a view another name."""

    act = Action.RENAME_VIEW
    title = _("Rename")
    button = _("Rename")
    done = _("Renamed.")

    name = forms.CharField(label=_("Name of the view"), max_length=NAME_OF_VIEW_LENGTH)

    def carry_out(self, view_id: int, *, actor: Actor, origin: str) -> None:
        """Rename it."""
        given = self.cleaned_data
        operate.rename_view(view_id, given["name"], revision=given["revision"], actor=actor, origin=origin)


class DeleteViewForm(ViewForm):
    """Delete a view."""

    act = Action.DELETE_VIEW
    title = _("Delete")
    button = _("Delete")
    done = _("Deleted.")

    def carry_out(self, view_id: int, *, actor: Actor, origin: str) -> None:
        """Delete it."""
        operate.delete_view(view_id, revision=self.cleaned_data["revision"], actor=actor, origin=origin)


ActOnView = SaveViewForm | RenameViewForm | DeleteViewForm
FORMS: dict[str, type[ActOnView]] = {form.act.value: form for form in (SaveViewForm, RenameViewForm, DeleteViewForm)}


@dataclass(frozen=True, slots=True)
class OfferedView:
    """A saved view as it is offered to somebody."""

    view: SavedView
    url: str
    is_shown: bool
    """Whether the queue shows just this."""
    is_mine: bool
    rename: Panel | None = None
    delete: DeleteViewForm | None = None
    """Both None for whoever may only open it, and where it is only opened."""


def kept(address: QueryDict) -> str:
    """Return what of an address is saved: which messages it shows, not how far one has turned the pages."""
    return urlencode([(name, word) for name in SAVED if (word := str(address.get(name, "")).strip())])


class SavedViewPages(DeskAdmin):
    """The part of the work queue that has to do with saved views."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page of the saved views."""
        view = self.admin_site.admin_view(self.saved_views_view)
        return [path("saved-views/", view, name="outbox_message_saved_views"), *super().get_urls()]

    def saved_views_context(self, request: HttpRequest, *, is_search: bool) -> dict[str, Any]:
        """Return what the queue shows of saved views; a search leads to their page alone, as it asks much already."""
        return {
            "saved_views": [] if is_search else self._offered(request),
            "save_form": SaveViewForm(initial={"query": kept(request.GET)}),
            "save_refusal": lacks_permission(Action.SAVE_VIEW, request.user),
        }

    def saved_views_view(self, request: HttpRequest) -> HttpResponse:
        """Save, rename or delete a view; show them all."""
        self.check_view_permission(request)
        save_form: SaveViewForm | None = None
        problems: list[str] = []
        bound: ViewForm | None = None
        if request.method == "POST":
            form_class = FORMS.get(request.POST.get("act", ""))
            view_id = 0 if form_class is SaveViewForm else read_id(request.POST.get("view", ""))
            if form_class is None or view_id is None:
                raise PermissionDenied
            form = form_class(request.POST)
            seen = partial(revision_now, SavedView.objects.filter(pk=view_id))
            if self.carry_out(request, form, view_id, seen=seen, done=lambda: form.done):
                return HttpResponseRedirect(self._after(request, form))
            if isinstance(form, SaveViewForm):
                save_form = form
            else:
                bound = form
        views = [self._with_acts(each, request, bound) for each in self._offered(request)]
        if bound is not None and not any(each.rename and each.rename.form is bound for each in views):
            problems = [str(error) for errors in bound.errors.values() for error in errors]
        context = {
            **self.page_context(request, _("Saved views")),
            "views": views,
            "save_form": save_form,
            "problems": problems,
            "here": request.get_full_path(),
            "list_url": self.list_url(),
        }
        return TemplateResponse(request, "outbox/desk/saved_views.html", context)

    def _with_acts(self, each: OfferedView, request: HttpRequest, bound: ViewForm | None) -> OfferedView:
        """Add how the view is renamed and deleted, if this person may; a name that was refused stays as typed."""
        view = each.view
        if not operate.may_change_view(view, request.user):
            return each
        if isinstance(bound, RenameViewForm) and bound.data["view"] == str(view.pk):
            rename = Panel(bound, "", is_open=True)
        else:
            rename = Panel(RenameViewForm.on(view), "", is_open=False)
        return replace(each, rename=rename, delete=DeleteViewForm.on(view))

    def _offered(self, request: HttpRequest) -> list[OfferedView]:
        """Return the views of whoever asks and those that are shared, one's own first."""
        name, shown = request.user.get_username(), kept(request.GET)
        return [
            OfferedView(
                view,
                f"{self.list_url()}?{view.query}",
                is_shown=sorted(parse_qsl(view.query)) == sorted(parse_qsl(shown)),
                is_mine=view.owner == name,
            )
            for view in SavedView.objects.offered_to(name)
        ]

    def _after(self, request: HttpRequest, form: ActOnView) -> str:
        """Return where to go on: to the queue as it was saved, or to the page of the views."""
        if isinstance(form, SaveViewForm):
            return f"{self.list_url()}?{kept(QueryDict(form.cleaned_data['query']))}"
        return request.get_full_path()
