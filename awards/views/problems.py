"""Answers for programs: JSON that nobody caches, and problems as RFC 9457 has them."""

from collections.abc import Callable, Mapping
from functools import update_wrapper
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

Arguments = ParamSpec("Arguments")
View = Callable[Concatenate[HttpRequest, Arguments], HttpResponse]


def answer(content: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return ``content`` as JSON that must not be stored on the way."""
    return JsonResponse(dict(content), status=status, headers={"Cache-Control": "no-store", **(headers or {})})


def problem(status: HTTPStatus, code: str, detail: str, *, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return what went wrong: ``code`` for programs, ``detail`` for the people who read their logs."""
    content = {"type": "about:blank", "title": status.phrase, "status": status.value, "code": code, "detail": detail}
    return JsonResponse(
        content,
        status=status,
        content_type="application/problem+json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def allow(*methods: str) -> Callable[[View[Arguments]], View[Arguments]]:
    """Let only ``methods`` through; others are answered 405 with the list of what is allowed."""

    def decorate(view: View[Arguments]) -> View[Arguments]:
        def guarded(request: HttpRequest, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> HttpResponse:
            if request.method in methods:
                return view(request, *args, **kwargs)
            allowed = ", ".join(methods)
            detail = _("This address takes %(methods)s only.") % {"methods": allowed}
            return problem(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", detail, headers={"Allow": allowed})

        update_wrapper(guarded, view)
        return guarded

    return decorate
