"""How commands are told of a change of payloads."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from outbox.errors import NotAllowed
from outbox.operate.json_texts import read_json
from outbox.operate.patch import Patch, read_renames, read_values


def add_patch_arguments(parser: CommandParser) -> None:
    """Take what is changed in the payloads: key by key, or as one JSON object."""
    parser.add_argument("--rename", action="append", metavar="OLD=NEW", help="rename a key; dots lead into objects")
    parser.add_argument("--set", action="append", metavar="KEY=JSON", help="set a key: amount=12, name='\"Ada\"'")
    parser.add_argument("--remove", action="append", metavar="KEY", help="remove a key")
    parser.add_argument("--patch", metavar="JSON", help='all of it as JSON: {"rename": {"old": "new"}}')


def read_patch(options: Mapping[str, Any]) -> Patch:
    """Return the patch that was given, an empty one if none was. Raises ``CommandError`` for what is none."""
    given = {name: options[name] or [] for name in ("rename", "set", "remove")}
    if options["patch"] and any(given.values()):
        raise CommandError("say it with --patch or with --rename, --set and --remove, not with both")
    try:
        if options["patch"]:
            return Patch.from_json(read_json(options["patch"]))
        return Patch(read_renames(given["rename"]), read_values(given["set"]), tuple(given["remove"]))
    except NotAllowed as error:
        raise CommandError(str(error)) from error
