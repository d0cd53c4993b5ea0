"""The addresses of the project."""

from functools import partial

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from awards.views import refusals
from outbox.admin import error_pages

handler400 = partial(error_pages.handler400, otherwise=refusals.bad_request)
handler403, handler404 = error_pages.handler403, error_pages.handler404
handler500 = partial(error_pages.handler500, otherwise=refusals.server_error)

urlpatterns = [
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}awards/icon.svg")),
    path("admin/", admin.site.urls),
    path("", include("outbox.urls")),
    path("outbox/api/", include("outbox.api.urls")),
    path("", include("awards.urls")),
]
