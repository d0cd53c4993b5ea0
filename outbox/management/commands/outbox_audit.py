"""``manage.py outbox_audit``: check the audit's chain of hashes, and write its entries out to be kept elsewhere."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from outbox import audit
from outbox.models import AuditEntry


def values_of(entry: AuditEntry) -> dict[str, Any]:
    """Return the entry as its table has it, column by column."""
    return {field.attname: getattr(entry, field.attname) for field in AuditEntry._meta.concrete_fields}


class Command(BaseCommand):
    """Checks the chain; with ``--json`` prints every entry, the oldest first."""

    help = (
        "Check the audit's chain of hashes and show its last hash. The exit status is 1 if it is broken. With --json "
        "every entry is printed, one JSON object a line: the archive of what KEEP_AUDIT removes one day."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to print the entries, and where from."""
        parser.add_argument("--json", action="store_true", help="print every entry, one JSON object a line")
        parser.add_argument(
            "--after", type=int, default=0, metavar="ID", help="only entries after this id, to add to an archive"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print what was asked for, and what the check has found on the side, so that the output is the archive."""
        if options["json"]:
            for entry in audit.in_pages(AuditEntry.objects.filter(pk__gt=options["after"])):
                self.stdout.write(json.dumps(values_of(entry), cls=DjangoJSONEncoder, ensure_ascii=False))
        broken = audit.verify_chain()
        if broken is not None:
            self.stderr.write(f"the chain breaks at entry {broken}: it, or one before it, was changed or removed")
            sys.exit(1)
        self.stderr.write(f"the chain is whole, its last hash is {audit.last_digest()}", self.style.SUCCESS)
