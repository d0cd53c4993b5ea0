"""The proof of a draw in words: which number was drawn of how many, what it means, and that it comes to the same."""

from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from awards.models import Draw, Prize
from awards.rules import replay


def explain_proof(drawn: Draw) -> SafeString | str:
    """Return the rounds of a draw as a list, with what they come to when they are looked up once more."""
    proof = drawn.proof
    if "losing draws" in proof:
        said = _("Number %(number)d of %(many)d losing draws, for a prize that nobody had claimed.")
        return said % {"number": proof["number"] + 1, "many": proof["losing draws"]}
    if "rounds" not in proof:
        return "–"
    names = dict(Prize.objects.filter(campaign_id=drawn.campaign_id).values_list("pk", "name"))
    rounds = format_html_join("", "<li>{}</li>", ((_round(turn, names),) for turn in proof["rounds"]))
    return format_html(
        '<ol class="mg-proof">{}</ol><p class="mg-quiet">{} <code translate="no">{}</code></p>',
        rounds,
        _verdict(drawn),
        proof["code"],
    )


def _round(turn: dict[str, Any], names: dict[int, str]) -> str:
    total = sum(weight for _prize, weight in turn["tickets"])
    won = turn["prize"]
    meant = _("nothing") if won is None else names.get(won, str(won))
    return _("Number %(number)d of %(total)d: %(prize)s") % {
        "number": turn["number"] + 1,
        "total": total,
        "prize": meant,
    }


def _verdict(drawn: Draw) -> str:
    try:
        came_to = replay(drawn.proof)
    except (ValueError, KeyError, TypeError):
        return _("This proof does not hold: its numbers mean something else.")
    won = drawn.won.prize_id if drawn.won else None
    if came_to != won:
        return _("This proof does not hold: it comes to something else than what was won.")
    return _("Looked up once more, it comes to the same. The code that drew:")
