"""Gifts: ordered from the vendor outside any transaction, and never twice for one award.

What makes it safe is one idempotency key per award, and that the vendor is asked first whenever an order may already
be on its books.
"""

from awards.changes import tell_clients
from awards.channels import vendor
from awards.channels.vendor import KeyTaken, Order, OrderRequest, Record, not_recorded
from awards.errors import AwardChanged, VendorError, VendorRefused, VendorSilent, VendorUnavailable
from awards.models import Award, AwardStatus, Claim, VendorOrder
from outbox import Reject, Unavailable

SHORTEST_LINE = 3
"""Characters of a line of an address that is looked for in what a vendor says."""


def order(award: Award, *, idempotency_key: str, ask_first: bool, record: Record = not_recorded) -> Order:
    """Return the vendor's order for ``award``, placing it if the vendor has none yet.

    ``ask_first`` says that an earlier try may have reached the vendor; ``record`` is told of each request and the
    answer to it. Raises ``outbox.Reject`` when the vendor says
    no for good, ``outbox.Unavailable`` when it is down or busy, and a ``VendorError`` when the try failed and the
    next one must ask.
    """
    request = OrderRequest(
        idempotency_key=idempotency_key,
        sku=award.vendor_sku,
        recipient=_recipient(award),
        award=str(award.public_id),
    )
    try:
        return _order(request, ask_first=ask_first, record=record)
    except VendorRefused as error:
        raise Reject(str(error)) from error
    except VendorUnavailable as error:
        raise Unavailable(str(error)) from error


def _order(request: OrderRequest, *, ask_first: bool, record: Record) -> Order:
    """Return the vendor's order. What he says about it is quoted in errors, but never the recipient."""
    try:
        found = vendor.find_order(request.idempotency_key, record=record) if ask_first else None
        return _fulfilling(found or _place_once(request, record), request)
    except VendorError as error:
        error.args = (_without(request.recipient, str(error)),)
        raise


def _without(recipient: str, text: str) -> str:
    """Return a text in which no line of the recipient's address is left, as errors stand in logs and at the desk."""
    for line in [recipient, *recipient.split(", ")]:
        text = text.replace(line, "…") if len(line) >= SHORTEST_LINE else text
    return text


def _recipient(award: Award) -> str:
    """Return where the gift goes: what its winner has said, or who that is.

    Raises ``outbox.Reject`` if the winner was forgotten since: then nobody knows.
    """
    claim = Claim.objects.filter(award=award).first() if award.claimed_at is not None else None
    if award.draw.is_erased or (claim is None and award.claimed_at is not None):
        raise Reject("its winner was forgotten, so nobody knows where to send it; close it as not due")
    return claim.recipient if claim is not None else award.person


def number_at_vendor(idempotency_key: str) -> str | None:
    """Return the number of the order that the vendor has under the key, None if he has none; places nothing."""
    found = vendor.find_order(idempotency_key)
    return None if found is None else found.number


def _place_once(request: OrderRequest, record: Record) -> Order:
    """Place the order; if the vendor falls silent or knows the key, ask at once what it has."""
    try:
        return vendor.place_order(request, record=record)
    except (VendorSilent, KeyTaken) as problem:
        try:
            found = vendor.find_order(request.idempotency_key, record=record)
        except VendorError:
            raise problem from None
        if found is None:
            raise
        return found


def _fulfilling(order: Order, request: OrderRequest) -> Order:
    if not order.fulfils(request):
        raise VendorRefused(
            f"under our key {request.idempotency_key} the vendor has order {order.number} for article {order.sku!r} "
            f"and award {order.award!r}, not what we asked for; settle it with the vendor"
        )
    return order


def record(award: Award, order: Order, *, idempotency_key: str) -> None:
    """Write down the vendor's order and mark ``award`` as issued.

    Call it inside the settling transaction. Raises ``AwardChanged`` if the award is no longer as it was read.
    """
    if not Award.objects.issue(award):
        raise AwardChanged(f"award {award.public_id} was changed while its gift was being ordered")
    VendorOrder.objects.create(award=award, number=order.number, idempotency_key=idempotency_key, sku=award.vendor_sku)
    tell_clients(award, AwardStatus.ISSUED)


def keep_evidence(award: Award, order: Order, *, idempotency_key: str) -> None:
    """Write down an order that exists although its award may no longer be issued, so that a person can cancel it."""
    evidence = VendorOrder(award=award, number=order.number, idempotency_key=idempotency_key, sku=award.vendor_sku)
    VendorOrder.objects.bulk_create([evidence], ignore_conflicts=True)
