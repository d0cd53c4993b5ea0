"""The addresses of the public pages and of the JSON endpoints."""

from django.urls import path, re_path
from django.views.i18n import set_language

from awards.views import api, pages

app_name = "awards"
urlpatterns = [
    path("", pages.home, name="home"),
    path("campaigns/<slug:slug>/", pages.campaign, name="campaign"),
    path("draws/<uuid:public_id>/", pages.draw, name="draw"),
    path("language/", set_language, name="set_language"),
    path("api/campaigns/<slug:slug>/draws", api.campaign_draws, name="api-draws"),
    path("api/awards/<uuid:public_id>", api.award, name="api-award"),
    re_path(r"^api/", api.unknown),
]
