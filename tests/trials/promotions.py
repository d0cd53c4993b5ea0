"""The awards: ``claims`` at the same instant as their ends, and a ``sale`` in whose middle everything is killed."""

import logging

from django.db import connections

from outbox.testing import silenced
from tests.awards.claims import races
from tests.harness import sales
from tests.trials.trial import Trial


def claims(trial: Trial) -> None:
    """Let two want an award at the same instant; each pair is checked, and stock and ledger at the end."""
    connections["default"].settings_dict["NAME"] = trial.database.name
    logging.disable(logging.ERROR)  # whoever loses says so, a thousand times
    with silenced():
        for name, race in (
            ("claim and expiry", races.claims_and_expiries),
            ("issue and revocation", races.issues_and_revocations),
        ):
            ended = race(trial.times, trial.rng)
            print(f"{name}: {ended}", flush=True)
            trial.expect(min(ended.values()) > 0, f"{name}: one always won: {ended}")
    connections.close_all()


def sale(trial: Trial) -> None:
    """Sell everything while Redis, workers and web are killed, each as often as the others, in an order by luck."""
    if trial.redis is None:
        raise RuntimeError("a sale needs its Redis")
    kinds = sales.kinds_at_random(trial.times, trial.rng)
    sold = sales.sell(
        trial.installation,
        trial.redis,
        kinds,
        faults=trial.times,
        rng=trial.rng,
        tell=lambda line: print(line, flush=True),
    )
    awards, halves, numbers = sold.awards, sold.halves, sold.piece_numbers
    wrong = sold.wrong_in_the_books()
    print(
        f"{sum(sold.faults.values())} kills ({dict(sold.faults)}): {sold.pieces} pieces, {sold.people} people, "
        f"{sold.shoppers.repeated} requests sent again, prewarmed {sold.epochs} times; {sum(halves.values())} taken = "
        f"{len(awards)} drawn + {sold.given_back} given back; {len(awards)} awards + {sold.left} left; books: "
        f"{wrong or 'nothing'}"
    )
    trial.expect(len(sold.shoppers.told) == sold.people, "somebody was not answered once")
    trial.expect(sold.won == awards, "what people were told is not what they have")
    trial.expect(len(numbers) == len(set(numbers)), "a piece was sold twice")
    trial.expect(len(awards) + sold.left == sold.pieces, f"{len(awards)} awards and {sold.left} left of {sold.pieces}")
    trial.expect(halves == _without_none(published=len(awards), taken_back=sold.given_back), f"taken: {halves}")
    trial.expect(not sold.unwritten, f"{sold.unwritten} pieces are not written down")
    trial.expect(not wrong, f"the books: {wrong}")


def _without_none(**counts: int) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
