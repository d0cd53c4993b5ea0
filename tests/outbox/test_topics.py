"""Topics and the patterns that match them, as in a topic exchange."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.topics import is_topic, matches


@pytest.mark.parametrize(
    ("pattern", "topic", "listens"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a.b", "a.b", True),
        ("a.b", "a", False),
        ("a", "a.b", False),
        ("*", "a", True),
        ("*", "a.b", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("*.b", "a.b", True),
        ("a.*.c", "a.b.c", True),
        ("#", "a", True),
        ("#", "a.b.c", True),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("a.#", "b.a", False),
        ("#.c", "c", True),
        ("#.c", "a.b.c", True),
        ("#.c", "a.c.b", False),
        ("a.#.c", "a.c", True),
        ("a.#.c", "a.b.b.c", True),
        ("a.#.c", "a.b.b", False),
        ("#.#", "a", True),
        ("#.*", "a", True),
        ("*.#.*", "a", False),
        ("*.#.*", "a.b", True),
        ("#.a.#.a.#", "a", False),
        ("#.a.#.a.#", "b.a.b.a.b", True),
        ("a.b", "a-b", False),
    ],
)
def test_what_a_pattern_matches(pattern, topic, listens):
    assert matches(pattern, topic) is listens


words = st.sampled_from(["a", "b", "ab", "*", "#"])


patterns = st.lists(words, min_size=1, max_size=6).map(".".join)


topics = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=6).map(".".join)


def matches_by_regex(pattern: str, topic: str) -> bool:
    """The same question, asked the other way round: every word with its dot."""
    parts = {"*": r"[^.]+\.", "#": r"(?:[^.]+\.)*"}
    expression = "".join(parts.get(word, re.escape(word) + r"\.") for word in pattern.split("."))
    return re.fullmatch(expression, f"{topic}.") is not None


@given(pattern=patterns, topic=topics)
def test_patterns_mean_what_a_regular_expression_means(pattern, topic):
    assert matches(pattern, topic) == matches_by_regex(pattern, topic)


@pytest.mark.parametrize("topic", ["a", "a.b", "A-1_b.c", "x" * 200])
def test_what_is_a_topic(topic):
    assert is_topic(topic)


@pytest.mark.parametrize(
    "topic", ["", ".", "a.", ".a", "a..b", "a b", "a\n", "a.*", "a.#", "ä", "x" * 201, None, 7, b"a", ["a"]]
)
def test_what_is_no_topic(topic):
    assert not is_topic(topic)
