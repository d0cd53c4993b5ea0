"""The addresses of the project."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

handler400 = "awards.views.refusals.bad_request"
handler500 = "awards.views.refusals.server_error"

urlpatterns = [
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}awards/icon.svg")),
    path("admin/", admin.site.urls),
    path("", include("outbox.urls")),
    path("outbox/api/", include("outbox.api.urls")),
    path("", include("awards.urls")),
]
