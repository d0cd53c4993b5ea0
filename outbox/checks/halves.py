"""Half messages that wait for a check which the code does not have."""

from django.core.checks import Error
from django.db import Error as DatabaseError
from django.db.models import Count

from outbox.checks.database import CheckMessages
from outbox.external.halves import check_backs
from outbox.models import Half


def check_halves() -> CheckMessages:
    """Yield an error for each check that half messages wait for, and that is not declared."""
    try:
        waiting = Half.objects.unsettled().values_list("check_name").annotate(Count("pk")).order_by("check_name")
        missing = [(name, many) for name, many in waiting if check_backs.get(name) is None]
    except DatabaseError:
        # Not migrated yet, or not to be reached; Django says so itself.
        return
    for name, many in missing:
        yield Error(
            f"{many} half messages wait for the check {name!r}, which is not declared: nobody can say whether their "
            "writes were done.",
            hint=f'Declare it again, by @outbox.check_back("{name}") in a consumers.py; or decide about them by hand, '
            "at the desk or by manage.py outbox_half.",
            id="outbox.E014",
        )
