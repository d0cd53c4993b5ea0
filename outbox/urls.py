"""The addresses that machines ask; include them at the root: ``path("", include("outbox.urls"))``."""

from django.urls import path

from outbox.monitoring import views

app_name = "outbox"
urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
]
