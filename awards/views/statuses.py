"""Which HTTP status a draw that was not made, or a claim that was not taken, is answered with."""

from http import HTTPStatus
from typing import TypeVar

from django.http.response import HttpResponseBase

from awards.errors import (
    AccessRefused,
    AwardsError,
    Blocked,
    ClaimRefused,
    DrawError,
    DrawRefused,
    KeyMissing,
    KeyRevoked,
    KeyUnknown,
    RefusedByCheck,
    RequestReused,
    RequestUnderWay,
    RiskCheckFailed,
    SaleRefused,
    SaleUnavailable,
    TooManyCalls,
    TooManyFromAddress,
)

Answer = TypeVar("Answer", bound=HttpResponseBase)

STATUSES: dict[type[AwardsError], HTTPStatus] = {
    KeyMissing: HTTPStatus.UNAUTHORIZED,
    KeyUnknown: HTTPStatus.UNAUTHORIZED,
    KeyRevoked: HTTPStatus.UNAUTHORIZED,
    TooManyCalls: HTTPStatus.TOO_MANY_REQUESTS,
    TooManyFromAddress: HTTPStatus.TOO_MANY_REQUESTS,
    Blocked: HTTPStatus.FORBIDDEN,
    RefusedByCheck: HTTPStatus.FORBIDDEN,
    RiskCheckFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    RequestUnderWay: HTTPStatus.CONFLICT,
    SaleRefused: HTTPStatus.SERVICE_UNAVAILABLE,
    AccessRefused: HTTPStatus.FORBIDDEN,
    DrawRefused: HTTPStatus.CONFLICT,
    ClaimRefused: HTTPStatus.CONFLICT,
    RequestReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    DrawError: HTTPStatus.BAD_REQUEST,
}
"""By kind of refusal; the nearest one counts."""


def status_of(error: DrawError | ClaimRefused) -> HTTPStatus:
    """Return the status of the refusal, or of what it is a kind of."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def with_level(answer: Answer, error: DrawError | ClaimRefused) -> Answer:
    """Return the answer, with the level at which the log tells of it where its status would make it an error of ours.

    That a sale is closed, or being prewarmed, is meant so, and thousands may read it in a minute. That its stock cannot
    be asked is nobody's mistake in the code, but somebody should know. ``config.middleware.quiet_refusals`` reads it.
    """
    if isinstance(error, SaleRefused) and answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        level = "warning" if isinstance(error, SaleUnavailable) else "info"
        answer.log_level = level  # type: ignore[attr-defined]  # an attribute of ours
    return answer
