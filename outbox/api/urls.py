"""The addresses of the API: ``path("outbox/api/", include("outbox.api.urls"))``. The version is in the path."""

from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, path, re_path

try:
    import ninja  # noqa: F401  # an extra of the package
except ImportError as error:
    raise ImproperlyConfigured(
        "outbox.api.urls takes the package django-ninja, the extra “api”: pip install 'django-makegood[api]'. Without "
        "it, take the include of outbox.api.urls out of your urls.py."
    ) from error

from outbox.api.document import show_document
from outbox.api.guard import guarded
from outbox.api.problems import not_found
from outbox.api.service import VERSION, api


def nothing(_request: object) -> object:
    """Say of any other address that nothing is there."""
    raise not_found()


def _versioned(pattern: URLPattern) -> URLPattern:
    return path(f"v{VERSION}/{pattern.pattern}", guarded(pattern.callback), name=pattern.name)


app_name = "outbox_api"
urlpatterns = [
    path(f"v{VERSION}/openapi.json", guarded(show_document), name="openapi"),
    *(_versioned(pattern) for pattern in api.urls[0] if isinstance(pattern, URLPattern) and str(pattern.pattern)),
    re_path(r"^", guarded(nothing)),  # type: ignore[arg-type]  # it raises
]
