"""Draws that wait in a queue: a request becomes a message, and an address by which one asks what it came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core import signing
from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from awards.errors import DrawRefused, RequestReused, SaleClosed, SoldOut
from awards.listeners import DRAWN_BY, SALE_DRAW
from awards.models import Award, Campaign, Draw, Entitlement, Prize, QueuedRefusal
from awards.persons import identity
from awards.services import draws
from awards.services.draws import Guard
from outbox import KeyReused, Message, publish, status

SALT = "awards.sale.queued"

_Row = tuple[type[models.Model], dict[str, Any]]
"""A model, and the values of some of its columns."""


@dataclass(frozen=True, slots=True)
class QueuedRequest:
    """Which request of which campaign waits, as its message says it."""

    campaign_id: int
    request_id: str
    person: str
    language: str = ""
    entitlement: UUID | None = None

    @classmethod
    def read(cls, payload: Mapping[str, Any], headers: Mapping[str, Any]) -> "QueuedRequest":
        """Return what a message says; raises the errors of Python, or a ``DrawError``, if it is no request."""
        named = payload.get("entitlement")
        return cls(
            campaign_id=int(payload["campaign"]),
            request_id=draws.checked_request_id(str(payload["request"])),
            person=identity(str(payload["person"])),
            language=str(headers.get("language", "")),
            entitlement=UUID(str(named)) if named else None,
        )

    @property
    def payload(self) -> dict[str, Any]:
        """What the message carries; the language is among its headers, so that the same request again is the same."""
        named = {"entitlement": str(self.entitlement)} if self.entitlement else {}
        return {"campaign": self.campaign_id, "request": self.request_id, "person": self.person, **named}


@dataclass(frozen=True, slots=True)
class QueuedAnswer:
    """What a request came to: a draw, a refusal by its code, *not won* as it waited too long; or nothing yet."""

    draw: Draw | None = None
    code: str = ""
    is_too_late: bool = False

    @property
    def waits(self) -> bool:
        """Whether it has come to nothing yet."""
        return self.draw is None and not self.code and not self.is_too_late


def is_queued(campaign: Campaign) -> bool:
    """Tell whether draws of the campaign wait in a queue. It is best read ``with_sale``."""
    sale = campaign.how_sold
    return sale is not None and sale.queues


def queue_draw(
    campaign: Campaign,
    *,
    person: str,
    request_id: str,
    language: str = "",
    entitlement: Entitlement | None = None,
    guard: Guard | None = None,
) -> str:
    """Put a draw into the queue and return the token by which one asks for its answer.

    The campaign must have been read ``with_clock`` and ``with_sale``. The same request again gets the same token,
    whatever has become of the campaign. Raises what ``draw_ticket`` raises before luck.
    """
    person = identity(person, ignores_tags=campaign.ignores_tags)
    request_id = draws.checked_request_id(request_id)
    sale = campaign.how_sold
    if sale is None:
        raise SaleClosed("this campaign is no flash sale any more")
    try:
        _check(campaign, person, guard)
    except DrawRefused:
        if _is_new(campaign.pk, request_id):
            raise
    named = None if entitlement is None else entitlement.public_id
    asked = QueuedRequest(campaign.pk, request_id, person, language, named)
    try:
        with transaction.atomic(using=router.db_for_write(Draw)):
            publish(
                SALE_DRAW,
                key=key_of(campaign.pk, request_id),
                payload=asked.payload,
                headers={"language": language} if language else None,
                within=timedelta(seconds=sale.within),
            )
    except KeyReused as error:
        raise RequestReused("this request id has been used for another person; use a new one for a new draw") from error
    return token_of(campaign.pk, request_id)


def _check(campaign: Campaign, person: str, guard: Guard | None) -> None:
    """Raise why a new request of the person is not taken, if it is not."""
    if refusal := draws.closed(campaign):
        raise refusal
    if guard is not None:
        guard(person)
    if campaign.is_sold_out:
        raise SoldOut("every prize of this campaign has been won")


def answer_to(campaign_id: int, request_id: str) -> QueuedAnswer:
    """Return what a request came to."""
    if found := _look_up(campaign_id, request_id):
        return found
    progress = status(SALE_DRAW, key=key_of(campaign_id, request_id))[DRAWN_BY]
    # One that failed waits for a person, who may still have it drawn.
    if progress.is_open or progress.needs_a_person:
        return QueuedAnswer()
    # It may have been drawn since we looked.
    return _look_up(campaign_id, request_id) or QueuedAnswer(is_too_late=True)


def _is_new(campaign_id: int, request_id: str) -> bool:
    """Tell whether the request has neither come to anything yet nor waits.

    That is one statement where one database has all of it: most who come to a sale find it sold out, and ask here.
    """
    request = {"campaign_id": campaign_id, "request_id": request_id}
    message = {"topic": SALE_DRAW, "key": key_of(campaign_id, request_id)}
    known: dict[str, list[_Row]] = {}
    for model, columns in (Draw, request), (QueuedRefusal, request), (Message, message):
        known.setdefault(model._default_manager.all().db, []).append((model, columns))
    return not any(_has_any(connections[alias], rows) for alias, rows in known.items())


def _has_any(connection: BaseDatabaseWrapper, rows: Sequence[_Row]) -> bool:
    """Tell whether there is a row of any of these models with these values in its columns."""
    questions: list[str] = []
    values: list[Any] = []
    for model, columns in rows:
        conditions = " AND ".join(f"{connection.ops.quote_name(name)} = %s" for name in columns)
        table = connection.ops.quote_name(model._meta.db_table)
        questions.append(f"EXISTS (SELECT 1 FROM {table} WHERE {conditions})")  # noqa: S608  # our tables
        values += columns.values()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {' OR '.join(questions)}", values)
        return bool(cursor.fetchone()[0])


def _look_up(campaign_id: int, request_id: str) -> QueuedAnswer | None:
    """Return the draw or the refusal, by one statement: people ask more often than they draw."""
    connection = connections[router.db_for_read(Draw) or "default"]
    with connection.cursor() as cursor:
        cursor.execute(_statement(connection), [campaign_id, request_id] * 2)
        rows = cursor.fetchall()
    if not rows:
        return None
    drawn_id, person, slug, award_id, kind, value, prize, code = rows[0]
    if code:
        return QueuedAnswer(code=code)
    draw = Draw(public_id=_uuid(drawn_id), person=person, campaign=Campaign(slug=slug))
    if award_id is not None:
        draw.award = Award(public_id=_uuid(award_id), kind=kind, value=Decimal(str(value)), prize=Prize(name=prize))
    return QueuedAnswer(draw=draw)


def _statement(connection: BaseDatabaseWrapper) -> str:
    draw, campaign, award, prize, refusal = (
        connection.ops.quote_name(model._meta.db_table) for model in (Draw, Campaign, Award, Prize, QueuedRefusal)
    )
    return (
        "SELECT d.public_id, d.person, c.slug, a.public_id, a.kind, a.value, p.name, NULL"  # noqa: S608  # our tables
        f" FROM {draw} d JOIN {campaign} c ON c.id = d.campaign_id"
        f" LEFT JOIN {award} a ON a.draw_id = d.id LEFT JOIN {prize} p ON p.id = a.prize_id"
        " WHERE d.campaign_id = %s AND d.request_id = %s"
        " UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, r.code"
        f" FROM {refusal} r WHERE r.campaign_id = %s AND r.request_id = %s"
    )


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def key_of(campaign_id: int, request_id: str) -> str:
    """Return the business id of a request's message."""
    return f"{campaign_id}:{request_id}"


def token_of(campaign_id: int, request_id: str) -> str:
    """Return what stands in the address by which one asks; nobody can make one for another request."""
    return signing.dumps([campaign_id, request_id], salt=SALT)


def request_of(token: str) -> tuple[int, str] | None:
    """Return campaign and request of a token; None if it is none of ours."""
    try:
        campaign_id, request_id = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return int(campaign_id), str(request_id)
