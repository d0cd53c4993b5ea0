"""Points: our own ledger, written in the transaction that settles the message, so it happens exactly once."""

from awards.changes import tell_clients
from awards.errors import AwardChanged
from awards.models import Award, AwardStatus, PointsAccount, PointsEntry


def credit_points(award: Award) -> None:
    """Credit the points of ``award`` and mark it as issued: three statements, four with the reading of the award.

    Call it inside a transaction. Raises ``AwardChanged`` if the award is no longer as it was read.
    """
    if not Award.objects.issue(award):
        raise AwardChanged(f"award {award.public_id} was changed while its points were being credited")
    PointsAccount.objects.credit(award.person, award.points)
    PointsEntry.objects.create(account_id=award.person, award=award, points=award.points, transfer=award.public_id)
    tell_clients(award, AwardStatus.ISSUED)
