"""Clients: the programs of shops that draw for people, and their keys."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.forms import Script
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from awards.admin.act_pages import act_page
from awards.admin.forms import VisibleTextForm
from awards.admin.histories import HistoryInWords
from awards.admin.marks import state_as
from awards.admin.webhooks import WebhookPage
from awards.admin.whole_rows import SecondLook, WholeRowForm
from awards.clients import keys
from awards.models import ApiClient, Scope


class ClientForm(VisibleTextForm, WholeRowForm):
    """A client: what it is called, what it may do, and how fast."""

    scopes = forms.TypedMultipleChoiceField(
        label=gettext_lazy("What it may do"),
        choices=Scope,
        coerce=Scope,
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.DRAW],
    )

    class Meta:
        model = ApiClient
        fields = ("name", "scopes", "rate")

    def clean_scopes(self) -> list[str]:
        """Return the scopes as they are kept."""
        return sorted(scope.value for scope in self.cleaned_data["scopes"])


@admin.register(ApiClient)
class ApiClientAdmin(SecondLook, HistoryInWords):
    """Clients. A key is shown once, when it is made, and a client stays when its key is revoked."""

    form = ClientForm
    list_display = ("name", "state", "prefix", "may", "rate", "last_used_at")
    fields = ("name", "scopes", "rate", "prefix", "made_by", "made_at", "last_used_at", "revoked_at", "revoked_by")
    readonly_fields = ("prefix", "made_by", "made_at", "last_used_at", "revoked_at", "revoked_by")
    ordering = ("name",)
    actions = None

    class Media:
        css = {"all": ["awards/admin.css"]}
        js = [Script("awards/lists.js", defer=True)]

    def get_fields(self, _request: HttpRequest, obj: ApiClient | None = None) -> Any:
        """Ask for less where there is nothing to show yet."""
        return self.fields if obj is not None else ("name", "scopes", "rate")

    @admin.display(description=gettext_lazy("state"))
    def state(self, client: ApiClient) -> SafeString:
        """Show whether the key is valid, as mark and word."""
        kind, mark, said = ("off", "✕", _("revoked")) if client.revoked_at is not None else ("running", "✓", _("valid"))
        return state_as(kind, mark, said)

    @admin.display(description=gettext_lazy("what it may do"))
    def may(self, client: ApiClient) -> str:
        """Show the scopes in words."""
        return ", ".join(str(Scope(scope).label) for scope in client.scopes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tell who may make clients."""
        return request.user.has_perm("awards.manage_apiclient")

    def has_change_permission(self, request: HttpRequest, obj: ApiClient | None = None) -> bool:
        """Let the same people change one whose key is valid."""
        return self.has_add_permission(request) and (obj is None or obj.revoked_at is None)

    def has_delete_permission(self, _request: HttpRequest, _obj: object = None) -> bool:
        """A client stays, so that its old key stays known."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiClient, form: Any, change: bool) -> None:
        """Make a new client with its key; of a known one write what was changed."""
        if change:
            obj.save(update_fields=form.changed_data)
            return
        scopes = [Scope(scope) for scope in obj.scopes]
        made, key = keys.make_client(obj.name, scopes=scopes, actor=request.user.get_username(), rate=obj.rate)
        obj.pk, obj.shown_key = made.pk, key  # type: ignore[attr-defined]  # until the answer is written

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002  # Django names it
        """Show the key, this once."""
        return act_page(
            self,
            request,
            "admin/awards/apiclient/key.html",
            title=_("The key of %(name)s") % {"name": obj.name},
            context={"key": obj.shown_key},
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the revoking and the webhook."""
        revoke = self.admin_site.admin_view(self.revoke_view)
        webhook = self.admin_site.admin_view(self.webhook_view)
        return [
            path("<int:pk>/revoke/", revoke, name="awards_apiclient_revoke"),
            path("<int:pk>/webhook/", webhook, name="awards_apiclient_webhook"),
            *super().get_urls(),
        ]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Offer to revoke a key that is valid."""
        context["may_revoke"] = context["original"] and self.has_change_permission(request, context["original"])
        return super().render_change_form(request, context, *args, **kwargs)

    def webhook_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show where the client is told of awards, and change it."""
        client = self._client(request, pk)
        if client.revoked_at is not None:
            raise Http404
        return WebhookPage(self, request, client).answer()

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, then make the key invalid for good."""
        client = self._client(request, pk)
        if request.method == "POST":
            with transaction.atomic(using=router.db_for_write(ApiClient)):
                if ApiClient.objects.revoke(client, actor=request.user.get_username()):
                    self.log_change(request, client, "revoked")
            messages.success(request, _("The key of %(name)s is revoked.") % {"name": client.name})
            if request.user.has_perm("awards.view_apiclient"):
                return redirect(reverse("admin:awards_apiclient_change", args=[pk]))
            return redirect(reverse("admin:awards_apiclient_changelist"))
        return act_page(
            self,
            request,
            "admin/awards/apiclient/revoke.html",
            title=_("Revoke the key of %(name)s?") % {"name": client.name},
            context={"client": client},
        )

    def _client(self, request: HttpRequest, pk: int) -> ApiClient:
        """Return the client, for those who may manage it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        client = ApiClient.objects.filter(pk=pk).first()
        if client is None:
            raise Http404
        return client
