"""Three addresses for machines: is the process alive, is the installation ready, and the metrics.

``/metrics``, and the reasons in ``/readyz``, are for those who show ``OUTBOX["METRICS_TOKEN"]`` as a bearer token. If
none is set they are for callers on this machine; a request that a proxy has forwarded is none of those.
"""

from ipaddress import ip_address

from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from outbox.conf import conf
from outbox.models.sql.errors import advise_to_migrate, is_not_migrated
from outbox.monitoring.health import unready
from outbox.monitoring.metrics import exposition
from outbox.monitoring.outside_transactions import in_no_transaction

FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")


@csrf_exempt  # so that a POST is answered 405, and not asked for a CSRF token
@in_no_transaction
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  # Django's signature
    """Answer that the process is alive. Touches no database: a process is not killed because the database is away."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@csrf_exempt  # so that a POST is answered 405, and not asked for a CSRF token
@in_no_transaction
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 if the database answers, migrations are applied and the rescan is not overdue; 503 otherwise.

    The same on every web process, so it is for monitors and deployments. A balancer that asks it would take all of
    them out at once when beat stops; let it ask ``/healthz``.
    """
    try:
        reasons = unready()
    except Error as error:
        said = (str(error).strip().splitlines() or [""])[0]
        away = _("The database does not answer (%(said)s).") % {"said": said}
        reasons = [advise_to_migrate() if is_not_migrated(error) else away]
    answer = {"ready": not reasons, **({"reasons": reasons} if _is_trusted(request) else {})}
    return JsonResponse(answer, status=503 if reasons else 200)


@csrf_exempt  # so that a POST is answered 405, and not asked for a CSRF token
@in_no_transaction
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with all metrics in Prometheus's text format, measured now."""
    if not _is_trusted(request):
        return HttpResponseForbidden("give the bearer token, or ask from this machine\n", content_type="text/plain")
    try:
        return HttpResponse(exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
    except Error as error:
        why = advise_to_migrate() if is_not_migrated(error) else "the database does not answer"
        return HttpResponse(f"{why}\n", status=503, content_type="text/plain")


def _is_trusted(request: HttpRequest) -> bool:
    token = conf().metrics_token
    if token:
        return constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}")
    return not any(name in request.META for name in FORWARDED) and _is_loopback(request.META.get("REMOTE_ADDR", ""))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
