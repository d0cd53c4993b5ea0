"""``manage.py erase_person``: forget somebody who has drawn, for good."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import ngettext, override

from awards.claims.erasure import Traces, erase_person, traces_of
from awards.errors import InvalidPerson, PersonInUse
from awards.persons import identity


class Command(BaseCommand):
    """Shows what there is of a person; with ``--yes`` erases it."""

    help = (
        "Erase a person: addresses, the name in draws, awards, entitlements and the points account, and what the "
        "messages say. The audit notes who has erased what. Without --yes it only shows what there is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the person, and who wants it and why."""
        parser.add_argument("person", help="the e-mail address or name, as it was drawn under")
        parser.add_argument("--reason", required=True, help="why, without the person's name; the audit keeps it")
        parser.add_argument("--actor", required=True, help="who; the audit keeps it")
        parser.add_argument("--yes", action="store_true", help="do it")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Show what there is of the person, or erase it."""
        try:
            person = identity(options["person"])
        except InvalidPerson as error:
            raise CommandError("this is no name or address that anybody could draw under") from error
        found = traces_of(person)
        if not found.any:
            raise CommandError("there is nothing of this person")
        self.stdout.write(_in_words(found))
        if not options["yes"]:
            self.stdout.write("Nothing was erased yet. Add --yes to erase it for good.")
            return

        def erase_messages(ids: list[int], alias: str) -> None:
            said = {"subject": alias, "reason": options["reason"], "actor": options["actor"]}
            call_command("outbox_erase", *map(str, ids), yes=True, stdout=self.stdout, **said)

        try:
            alias = erase_person(person, erase_messages=erase_messages)
        except PersonInUse as error:
            raise CommandError(f"nothing was erased: {error}. Let them be issued, or revoke them first") from error
        self.stdout.write(self.style.SUCCESS(f"erased; the rows that stay belong to {alias}"))


def _in_words(found: Traces) -> str:
    """Return what there is of a person, in English as all that the command says."""
    with override("en"):
        counted = (
            (ngettext("%d draw", "%d draws", found.draws), found.draws),
            (ngettext("%d award", "%d awards", found.awards), found.awards),
            (ngettext("%d address", "%d addresses", found.claims), found.claims),
            (ngettext("%d entitlement", "%d entitlements", found.entitlements), found.entitlements),
            (ngettext("%d points account", "%d points accounts", found.accounts), found.accounts),
            (ngettext("%d block", "%d blocks", found.blocks), found.blocks),
            (ngettext("%d message", "%d messages", len(found.messages)), len(found.messages)),
        )
        return ", ".join(text % many for text, many in counted)
