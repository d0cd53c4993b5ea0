import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awards.luck import Ticket, draw_number, ticket_of
from tests.awards.given import Sequence


def choose(tickets, luck):
    """Return the prize of the ticket that is drawn."""
    return ticket_of(tickets, draw_number(tickets, luck)).prize


weights = st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any)


@pytest.mark.parametrize(
    ("number", "prize"), [(0, "mug"), (1, "pen"), (2, "pen"), (3, "pen"), (4, "nothing"), (5, "nothing")]
)
def test_every_number_means_one_ticket(number, prize):
    tickets = [Ticket("mug", 1), Ticket("pen", 3), Ticket("out of stock", 0), Ticket("nothing", 2)]

    drawn = choose(tickets, Sequence(number))

    assert drawn == prize


@given(weights)
def test_over_all_numbers_each_ticket_is_drawn_exactly_as_often_as_it_weighs(weights):
    tickets = [Ticket(index, weight) for index, weight in enumerate(weights)]

    drawn = Counter(choose(tickets, Sequence(number)) for number in range(sum(weights)))

    assert drawn == Counter({index: weight for index, weight in enumerate(weights) if weight})


@given(weights, st.integers())
def test_the_same_seed_draws_the_same_tickets(weights, seed):
    tickets = [Ticket(index, weight) for index, weight in enumerate(weights)]

    once, again = (
        [choose(tickets, source) for _ in range(20)] for source in (random.Random(seed), random.Random(seed))
    )

    assert once == again


@pytest.mark.parametrize("tickets", [[], [Ticket("mug", 0)], [Ticket("mug", 2), Ticket("pen", -1)]])
def test_nothing_is_drawn_from_nothing_or_from_less_than_nothing(tickets):
    with pytest.raises(ValueError, match="ticket"):
        choose(tickets, random.Random(1))
