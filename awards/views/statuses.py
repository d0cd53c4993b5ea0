"""Which HTTP status a draw that was not made, or a claim that was not taken, is answered with."""

from http import HTTPStatus

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
    TooManyCalls,
    TooManyFromAddress,
)

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
