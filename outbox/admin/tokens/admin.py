"""API tokens on the desk: a list, the page that makes one, and the page of each."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox import audit
from outbox.admin import timeline
from outbox.admin.base import DeskAdmin, find_row, neighbours, page_of, refuse_for
from outbox.admin.forms import Panel, lacks_permission
from outbox.admin.tokens.forms import MakeForm, RevokeForm
from outbox.admin.tones import Tone
from outbox.models import ApiToken, TokenScope
from outbox.operate.actions import Action

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """A token, and how it stands."""

    token: ApiToken

    @property
    def tone(self) -> Tone:
        """How it stands, as a colour."""
        return Tone.GOOD if self._is_valid else Tone.CLOSED

    @property
    def state(self) -> str:
        """How it stands, in a word."""
        if self._is_valid:
            return _("valid")
        return _("revoked") if self.token.revoked_at else _("over")

    @property
    def scopes(self) -> list[tuple[str, str]]:
        """What it is for: the scope, and its words."""
        return [(scope, str(TokenScope(scope).label)) for scope in self.token.scopes if scope in TokenScope.values]

    @property
    def _is_valid(self) -> bool:
        return self.token.revoked_at is None and self.token.expires_at > timezone.now()


@admin.register(ApiToken)
class ApiTokenAdmin(DeskAdmin):
    """API tokens: looked at here, made and revoked through ``outbox.operate.tokens`` alone."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page that makes a token."""
        make = path("make/", self.admin_site.admin_view(self.make_view), name="outbox_apitoken_make")
        return [make, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the tokens, the newest first."""
        self.check_view_permission(request)
        page = page_of(ApiToken.objects.order_by("-pk"), request, PER_PAGE)
        context = {
            **self.page_context(request, gettext_lazy("API tokens")),
            "rows": [Shown(token) for token in page.object_list],
            **neighbours(page),
            "may_make": not lacks_permission(Action.TOKEN_MAKE, request.user),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/tokens.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, _form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a token, or revoke it and show it again."""
        self.check_view_permission(request)
        token = find_row(ApiToken.objects.all(), object_id)
        if token is None:
            messages.warning(request, _("This token is not there."))
            return HttpResponseRedirect(self.list_url())
        form = RevokeForm()
        if request.method == "POST":
            form = RevokeForm(request.POST)
            if self.carry_out(request, form, token.pk, seen=dict, done=lambda: form.done):
                return HttpResponseRedirect(request.path)
        refusal = lacks_permission(Action.TOKEN_REVOKE, request.user)
        panels = [] if token.revoked_at else [Panel(form, refusal, is_open=form.is_bound)]
        acts = audit.acts_about(str(token), Action.TOKEN_MAKE, Action.TOKEN_REVOKE)
        context = {
            **self.page_context(request, token.name),
            "shown": Shown(token),
            "token": token,
            "panels": panels,
            "events": [timeline.action_event(entry) for entry in acts],
            "here": request.path,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "outbox/desk/token.html", context)

    def make_view(self, request: HttpRequest) -> HttpResponse:
        """Ask what the token is for, make it and show it, this once."""
        self.check_view_permission(request)
        refuse_for(lacks_permission(Action.TOKEN_MAKE, request.user))
        form = MakeForm(request.POST) if request.method == "POST" else MakeForm()
        made, secret = None, ""
        if form.is_bound and self.carry_out(
            request, form, request.user, seen=dict, done=lambda: _("The token is made.")
        ):
            made, secret = form.made
        context = {
            **self.page_context(request, gettext_lazy("Make an API token")),
            "form": form,
            "made": made,
            "secret": secret,
            "here": request.path,
        }
        return TemplateResponse(request, "outbox/desk/token_make.html", context, headers={"Cache-Control": "no-store"})
