"""What ``make bench`` makes of its rounds: medians, ratios, and a decision that a failed round cannot sweeten."""

import json
import os

import pytest

from benchmarks.chart import render_svg
from benchmarks.contestant import Contestant, RoundFailed
from benchmarks.contestants import BARE_ASYNC, CELERY_GEVENT, fanned_out, ordered_by
from benchmarks.measurements import Measurement, Ratio, measure_in_turns, ratios_by_round
from benchmarks.report import print_table
from outbox.conf import PREFIX


def figure(*rounds: float, contestant: str = "ours") -> Measurement:
    return Measurement("drain", contestant, "messages", "messages/s", list(rounds), work=10)


@pytest.mark.parametrize(
    ("rounds", "bounds", "met"),
    [
        ([7.9, 8.0, 9.0], {"at_least": 8.0}, True),
        ([7.0, 7.9, 9.0], {"at_least": 8.0}, False),
        ([1.0, 1.2, 9.0], {"at_most": 1.2}, True),
        ([1.0, 1.3, 1.4], {"at_most": 1.2}, False),
        ([0.1], {}, True),
    ],
)
def test_the_median_of_the_rounds_is_held_against_the_bound(rounds, bounds, met):
    assert Ratio("drain", "ours over theirs", rounds, **bounds).is_met is met


def test_a_ratio_is_taken_round_by_round():
    assert ratios_by_round(figure(10, 30, 20), figure(5, 10, 40)) == [2.0, 3.0, 0.5]


def test_the_sides_take_turns_and_the_warm_up_is_not_counted():
    calls = []
    figures = {"a": [figure(contestant="a")], "b": [figure(contestant="b")]}

    def measure(contestant: str) -> list[float]:
        calls.append(contestant)
        return [float(len(calls))]

    measure_in_turns(figures, measure, rounds=2, warm_up=1)

    assert calls == ["a", "b"] * 3
    assert [kept.rounds for [kept] in figures.values()] == [[3.0, 5.0], [4.0, 6.0]]


def test_a_failed_round_is_said_and_measured_again(capsys):
    answers = iter([RoundFailed("one award was issued twice", ours=False), 5.0])
    kept = figure()

    def measure(_side: str) -> list[float]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    measure_in_turns({"a": [kept]}, measure, rounds=1, warm_up=0)

    assert kept.rounds == [5.0]
    assert "A ROUND FAILED and is not counted: one award was issued twice" in capsys.readouterr().err


def test_a_side_that_fails_twice_in_a_row_ends_the_run():
    def measure(_side: str) -> list[float]:
        raise RoundFailed("lost", ours=False)

    with pytest.raises(RoundFailed, match="lost"):
        measure_in_turns({"a": [figure()]}, measure, rounds=1, warm_up=0)


def test_a_failed_round_of_makegood_ends_the_run_at_once():
    answers = iter([RoundFailed("lost", ours=True)])

    def measure(_side: str) -> list[float]:
        raise next(answers)

    with pytest.raises(RoundFailed, match="lost"):
        measure_in_turns({"a": [figure()]}, measure, rounds=1, warm_up=0)


@pytest.mark.parametrize(
    "counts",
    [
        {"awards": 10, "issued": 10, "once": 9, "seconds": 1.0},
        {"awards": 10, "issued": 9, "once": 9, "seconds": 1.0},
        {"awards": 9, "issued": 9, "once": 9, "seconds": 1.0},
    ],
)
def test_a_round_in_which_an_award_was_lost_or_issued_twice_is_an_error(counts):
    contestant = Contestant.__new__(Contestant)
    contestant.plan = type("Plan", (), {"name": "theirs", "peer": "celery"})
    contestant.call = lambda _command: counts

    with pytest.raises(RoundFailed, match="theirs: of 10 awards"):
        contestant.check_issued_once(10)


def test_a_figure_is_one_line_of_json(capsys):
    figure(1.23456, 3.0, 2.0).print_json()

    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert (said["median"], said["least"], said["most"], said["rounds"], said["work"]) == (2.0, 1.235, 3.0, 3, 10)


def test_the_table_says_what_was_required_and_whether_it_is_met(capsys):
    short = Ratio("drain", "ours over theirs", [7.0], at_least=8.0, figures="7 and 1 messages/s")

    print_table([short, Ratio("drain", "ours over others", [2.0])])

    _blank, _head, first, second = (" ".join(line.split()) for line in capsys.readouterr().out.splitlines())
    assert first == "drain ours over theirs >= 8x 7.0x (7.0 to 7.0) NO 7 and 1 messages/s"
    assert second == "drain ours over others - 2.0x (2.0 to 2.0) -"


def test_the_chart_has_a_line_for_each_step_and_both_colour_schemes():
    drawn = render_svg({10_000: [8.0, 12.0, 30.0], 1_000_000: [8.2, 12.1, 31.0], 10_000_000: [8.4, 12.4, 33.0]})

    assert drawn.count("<polyline") == 3
    assert "message list: 33.0 ms" in drawn
    assert "10,000,000" in drawn
    assert "prefers-color-scheme: dark" in drawn


@pytest.mark.parametrize("plan", [ordered_by(0, processes=1), fanned_out(3), CELERY_GEVENT, BARE_ASYNC])
def test_every_contestant_has_a_prefix_that_the_settings_take(plan):
    assert PREFIX.fullmatch(f"bench-0a1b2c-{plan.slug}")


def test_a_driver_that_has_ended_is_said_with_its_last_words(tmp_path):
    contestant = Contestant.__new__(Contestant)
    contestant.plan, contestant._driver_log = ordered_by(0), tmp_path / "log"
    contestant._driver_log.write_text("ImproperlyConfigured: no such prefix")
    reading, writing = os.pipe()
    os.close(reading)
    contestant._commands = os.fdopen(writing, "w")

    with pytest.raises(RoundFailed, match="no keys: its driver ended:\nImproperlyConfigured: no such prefix"):
        contestant.send_command("clear_tables")
