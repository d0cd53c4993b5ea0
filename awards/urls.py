"""The addresses of the public pages, and of the API for the servers of shops."""

from django.urls import URLPattern, path, re_path
from django.views.i18n import set_language

from awards.views import pages
from awards.views.document import show_document
from awards.views.service import api, guarded, nothing_there


def nothing(_request: object) -> object:
    """Say of any other address of the API that nothing is there."""
    raise nothing_there()


def _of_the_api(pattern: URLPattern) -> URLPattern:
    return path(f"api/{pattern.pattern}", guarded(pattern.callback), name=pattern.name)


app_name = "awards"
urlpatterns = [
    path("", pages.home, name="home"),
    path("campaigns/<slug:slug>/", pages.campaign, name="campaign"),
    path("draws/<uuid:public_id>/", pages.draw, name="draw"),
    path("draws/<uuid:public_id>/claim/", pages.claim_prize, name="claim"),
    path("language/", set_language, name="set_language"),
    path("api/openapi.json", guarded(show_document), name="openapi"),
    *(_of_the_api(pattern) for pattern in api.urls[0] if isinstance(pattern, URLPattern) and str(pattern.pattern)),
    re_path(r"^api/", guarded(nothing)),  # type: ignore[arg-type]  # it raises
]
