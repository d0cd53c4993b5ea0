"""``manage.py outbox_token``: make the tokens by which programs act for a person, list them, revoke them."""

import json
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser

from outbox.errors import OperatorError
from outbox.management.acting import OperatorCommand, for_terminal, who_and_why
from outbox.models import ApiToken, TokenScope
from outbox.operate.tokens import make_token, revoke_token

LISTED = 200


class Command(OperatorCommand):
    """Makes, lists and revokes API tokens; what is made and revoked is in the audit."""

    help = "Make a token of the HTTP API for a person, list the tokens, or revoke one."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the act, and what it needs."""
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        make = acts.add_parser("make", help="make a token; its secret is printed once")
        make.add_argument("name", metavar="NAME", help="a name, by which the audit tells it from others")
        make.add_argument("--owner", required=True, help="the username of the person for whom it acts")
        make.add_argument(
            "--scope",
            action="append",
            required=True,
            choices=TokenScope.values,
            metavar="SCOPE",
            help=f"what it is for, once or more: {', '.join(TokenScope.values)}",
        )
        make.add_argument("--days", type=int, required=True, help="how long it is valid")
        revoke = acts.add_parser("revoke", help="let a token give nothing from now on")
        revoke.add_argument("prefix", metavar="BEGINNING", help="how the token begins, as the list shows it")
        for act in (make, revoke):
            act.add_argument("--reason", required=True, help="why; the audit keeps it")
            act.add_argument("--actor", required=True, help="who; the audit keeps it")
        listing = acts.add_parser("list", help="list the tokens, the newest first")
        listing.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what was asked; the exit status is 1 if it was refused."""
        try:
            match options["act"]:
                case "make":
                    self._make(options)
                case "revoke":
                    self._revoke(options)
                case _:
                    self._list(as_json=options["json"])
        except OperatorError as refusal:
            raise CommandError(for_terminal(refusal)) from refusal

    def _make(self, options: dict[str, Any]) -> None:
        users: Any = get_user_model()
        name = options["owner"]
        owner = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()
        if owner is None:
            raise CommandError(f"There is nobody named {for_terminal(name)}.")
        made, secret = make_token(
            name=options["name"],
            owner=owner,
            scopes=options["scope"],
            lasting=timedelta(days=min(options["days"], 10_000)),
            **who_and_why(options),
        )
        self.stderr.write(f"{made.name}: acts for {made.owner}, until {made.expires_at:%Y-%m-%d %H:%M} UTC. Keep this:")
        self.stdout.write(secret)

    def _revoke(self, options: dict[str, Any]) -> None:
        found = list(ApiToken.objects.filter(prefix=options["prefix"]))
        if len(found) != 1:
            raise CommandError(f"There is no token that begins with {for_terminal(options['prefix'])}.")
        revoked = revoke_token(found[0].pk, **who_and_why(options))
        self.stdout.write(f"{revoked.name} ({revoked.prefix}): revoked")

    def _list(self, *, as_json: bool) -> None:
        valid = set(ApiToken.objects.valid().values_list("pk", flat=True))
        for token in ApiToken.objects.order_by("-pk")[:LISTED]:
            state = "valid" if token.pk in valid else "revoked" if token.revoked_at else "over"
            if as_json:
                self.stdout.write(json.dumps(_as_json(token, state), ensure_ascii=False))
            else:
                self.stdout.write(
                    f"{token.prefix}  {state}, until {token.expires_at:%Y-%m-%d}  {token.owner}: "
                    f"{for_terminal(token.name)} ({', '.join(token.scopes)})"
                )


def _as_json(token: ApiToken, state: str) -> dict[str, Any]:
    moments = {name: getattr(token, name) for name in ("made_at", "expires_at", "last_used_at", "revoked_at")}
    return {
        **{name: getattr(token, name) for name in ("prefix", "name", "owner", "scopes", "made_by", "revoked_by")},
        "state": state,
        **{name: None if at is None else at.isoformat() for name, at in moments.items()},
    }
