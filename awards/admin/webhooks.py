"""The page of a client's webhook: its address, its secret shown once, a try, and switching it off."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from awards import conf
from awards.admin.act_pages import act_page
from awards.admin.forms import VisibleTextForm
from awards.clients import webhooks
from awards.errors import BadAddress, CallError
from awards.models import ApiClient, Webhook
from awards.models.webhook import URL_LENGTH

FAULTS = {
    "malformed": gettext_lazy("This is no address that begins with https://."),
    "password": gettext_lazy("Leave name and password out of the address: what is told is signed."),
    "plain": gettext_lazy("The address must begin with https://."),
    "host": gettext_lazy("This host is not among those that may be told (WEBHOOK_ALLOWED_HOSTS)."),
}
"""What is wrong with an address."""


class WebhookForm(VisibleTextForm, forms.Form):
    """Where a client is told."""

    url = forms.CharField(
        label=gettext_lazy("Address"), max_length=URL_LENGTH, widget=forms.TextInput(attrs={"type": "url", "size": 60})
    )

    def clean_url(self) -> str:
        """Refuse what must not be called."""
        url = str(self.cleaned_data["url"])
        try:
            conf.check_webhook_address(url)
        except BadAddress as error:
            raise forms.ValidationError(FAULTS[error.fault]) from error
        return url


class WebhookPage:
    """One request to the page of one client's webhook."""

    def __init__(self, model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, client: ApiClient) -> None:
        self.model_admin, self.request, self.client = model_admin, request, client
        self.webhook = Webhook.objects.with_clock().filter(client=client).first()

    def answer(self) -> HttpResponse:
        """Show the page, or do what is asked for."""
        acts: dict[str, Callable[[Webhook], HttpResponse]] = {
            "try": self._try,
            "rotate": self._rotate,
            "off": self._switch_off,
        }
        if self.request.method != "POST":
            return self._page(WebhookForm(initial={"url": self.webhook.url if self.webhook else ""}))
        asked = next((act for name, act in acts.items() if name in self.request.POST), None)
        if asked is not None:
            return asked(self.webhook) if self.webhook else self._again()
        form = WebhookForm(self.request.POST)
        return self._save(form.cleaned_data["url"]) if form.is_valid() else self._page(form)

    def _save(self, url: str) -> HttpResponse:
        with transaction.atomic(using=router.db_for_write(Webhook)):
            webhook, new = webhooks.set_address(self.client, url, actor=self._actor)
            self.model_admin.log_change(self.request, self.client, f"webhook {url}")
        if new:
            return self._secret(webhook)
        messages.success(self.request, _("The webhook is saved."))
        return self._again()

    def _rotate(self, webhook: Webhook) -> HttpResponse:
        with transaction.atomic(using=router.db_for_write(Webhook)):
            rotated = Webhook.objects.rotate(webhook, actor=self._actor)
            if rotated:
                self.model_admin.log_change(self.request, self.client, "webhook: a new secret")
        if rotated:
            return self._secret(webhook)
        messages.error(self.request, _("Somebody has changed the secret just now. Nothing was done."))
        return self._again()

    def _switch_off(self, webhook: Webhook) -> HttpResponse:
        with transaction.atomic(using=router.db_for_write(Webhook)):
            if webhooks.switch_off(webhook):
                self.model_admin.log_change(self.request, self.client, "webhook: switched off")
        messages.success(self.request, _("The client is told nothing more."))
        return self._again()

    def _try(self, webhook: Webhook) -> HttpResponse:
        try:
            status = webhooks.try_out(webhook.client)
        except (BadAddress, CallError) as error:
            messages.error(self.request, _("It did not work: %(error)s") % {"error": error})
        else:
            messages.success(self.request, _("The client answered %(status)d.") % {"status": status})
        return self._again()

    @property
    def _actor(self) -> str:
        return self.request.user.get_username()

    def _again(self) -> HttpResponse:
        return redirect(reverse("admin:awards_apiclient_webhook", args=[self.client.pk]))

    def _page(self, form: WebhookForm) -> HttpResponse:
        title = _("The webhook of %(name)s") % {"name": self.client.name}
        return self._answer("webhook.html", title, {"form": form, "webhook": self.webhook})

    def _secret(self, webhook: Webhook) -> HttpResponse:
        """Show the secret, this once."""
        title = _("The secret of %(name)s’s webhook") % {"name": self.client.name}
        back = reverse("admin:awards_apiclient_webhook", args=[self.client.pk])
        return self._answer("webhook_secret.html", title, {"secret": webhook.secret, "back": back})

    def _answer(self, template: str, title: str, context: dict[str, Any]) -> HttpResponse:
        trail = [(reverse("admin:awards_apiclient_change", args=[self.client.pk]), self.client.name)]
        return act_page(
            self.model_admin,
            self.request,
            f"admin/awards/apiclient/{template}",
            title=title,
            trail=trail,
            context=context,
        )
