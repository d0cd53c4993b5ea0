"""The JSON endpoints: ``POST /api/campaigns/<slug>/draws`` and ``GET /api/awards/<id>``."""

import json
import uuid
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from awards.errors import DrawError, DrawRefused, RequestReused
from awards.luck import SYSTEM_LUCK
from awards.models import Award, Draw, Prize
from awards.selectors import awards as selectors
from awards.services import draws
from awards.views.error_texts import explain_draw_error
from awards.views.problems import allow, answer, problem

BODY_LIMIT = 4 * 1024


class _Malformed(Exception):
    """The request cannot be read."""

    def __init__(self, code: str, detail: str, *, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(detail)
        self.code, self.detail, self.status = code, detail, status


@csrf_exempt
@allow("POST")
def campaign_draws(request: HttpRequest, slug: str) -> HttpResponse:
    """Draw: 201 with the draw; 200 with the same content for the same request again."""
    campaign = selectors.campaign_at(slug)
    if campaign is None:
        return problem(HTTPStatus.NOT_FOUND, "unknown_campaign", _("There is no campaign of that name."))
    try:
        drawn = draws.draw_ticket(
            campaign, person=_person(request), request_id=_key(request), luck=SYSTEM_LUCK, language=get_language() or ""
        )
    except _Malformed as error:
        return problem(error.status, error.code, error.detail)
    except RequestReused as error:
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.code, explain_draw_error(error))
    except DrawRefused as error:
        return problem(HTTPStatus.CONFLICT, error.code, explain_draw_error(error, campaign))
    except DrawError as error:
        return problem(HTTPStatus.BAD_REQUEST, error.code, explain_draw_error(error))
    won = drawn.won
    location = {"Location": _address(won)} if won else {}
    return answer(
        _draw_content(drawn), status=HTTPStatus.OK if drawn.repeated else HTTPStatus.CREATED, headers=location
    )


@allow("GET", "HEAD")
def award(_request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Tell how an award stands, and what issuing it left behind."""
    found = selectors.award_with(public_id)
    if found is None:
        return problem(HTTPStatus.NOT_FOUND, "unknown_award", _("There is no award of that id."))
    return answer(
        {
            "id": str(found.public_id),
            "status": found.status,
            "prize": _prize(found, found.prize),
            "won_at": found.won_at.isoformat(),
            "issued_at": found.issued_at.isoformat() if found.issued_at else None,
            "points_entry": _points_entry(found),
            "vendor_order": _vendor_order(found),
            "coupon": _coupon_json(found),
        }
    )


@csrf_exempt
def unknown(_request: HttpRequest) -> HttpResponse:
    """Answer 404 in JSON for every other address below /api/."""
    return problem(HTTPStatus.NOT_FOUND, "unknown_address", _("There is nothing at this address."))


def _key(request: HttpRequest) -> str:
    """Return the request's idempotency key: a bare token, or a quoted string as the IETF draft has it."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key:
        detail = _("Send the header Idempotency-Key: one new id for each draw, the same one to repeat a request.")
        raise _Malformed("idempotency_key_missing", detail)
    return key


def _person(request: HttpRequest) -> str:
    """Return who draws, from the body ``{"person": "..."}`` and nothing else."""
    if "Transfer-Encoding" in request.headers:
        detail = _("Send the body with its Content-Length, not in chunks.")
        raise _Malformed("length_missing", detail, status=HTTPStatus.LENGTH_REQUIRED)
    size = request.META.get("CONTENT_LENGTH") or "0"
    if size.isdecimal() and int(size) > BODY_LIMIT:
        detail = _("The body may have at most %(limit)d bytes.") % {"limit": BODY_LIMIT}
        raise _Malformed("body_too_large", detail, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    charset = (request.content_params or {}).get("charset", "utf-8")
    if request.content_type != "application/json" or charset.lower() not in ("utf-8", "utf8"):
        detail = _("Send the body as application/json, in UTF-8.")
        raise _Malformed("not_json", detail, status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    match _json(request.body):
        case {"person": str(person), **others} if not others:
            return person
        case _:
            raise _Malformed("wrong_body", _('The body must be {"person": "..."} with a text, and nothing else.'))


def _json(body: bytes) -> Any:
    """Return what the body says; a key given twice is refused, as readers differ on which of the two counts."""
    try:
        return json.loads(body.decode("utf-8-sig"), object_pairs_hook=_once_each)
    except UnicodeDecodeError as error:
        raise _Malformed("not_utf8", _("The body is not UTF-8.")) from error
    except (ValueError, RecursionError) as error:
        raise _Malformed("malformed_json", _("The body is not JSON.")) from error


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(content := dict(pairs)) < len(pairs):
        raise _Malformed("duplicate_key", _("The body gives the same key more than once."))
    return content


def _draw_content(drawn: Draw) -> dict[str, Any]:
    """Return the draw as it will be answered for ever; the award's status has an address of its own."""
    won = drawn.won
    return {
        "id": str(drawn.public_id),
        "campaign": drawn.campaign.slug,
        "person": drawn.person,
        "outcome": "won" if won else "lost",
        "award": {"id": str(won.public_id), "prize": _prize(won, won.prize), "url": _address(won)} if won else None,
    }


def _prize(won: Award, prize: Prize) -> dict[str, str]:
    return {"name": prize.name, "kind": won.kind, "value": f"{won.value:.2f}"}


def _address(won: Award) -> str:
    return reverse("awards:api-award", args=[won.public_id])


def _points_entry(found: Award) -> dict[str, Any] | None:
    entry = getattr(found, "pointsentry", None)
    return {"points": entry.points, "booked_at": entry.booked_at.isoformat()} if entry else None


def _vendor_order(found: Award) -> dict[str, Any] | None:
    order = getattr(found, "vendororder", None)
    return {"number": order.number, "recorded_at": order.recorded_at.isoformat()} if order else None


def _coupon_json(found: Award) -> dict[str, Any] | None:
    """Return the award's code masked, as answers are logged on the way; the draw's page shows it to its winner."""
    coupon = getattr(found, "coupon", None)
    return {"code": coupon.masked, "issued_at": coupon.issued_at.isoformat()} if coupon else None
