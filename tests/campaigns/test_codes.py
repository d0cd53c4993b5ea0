"""Reading lists of codes: whatever is pasted, each line is a code, passed over, or told with its number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awards.codes import Fault, Finding, read


def codes(text: str) -> list[str]:
    return read(text, longest=8).codes


def faults(text: str) -> list[tuple[int, Fault]]:
    return [(finding.line, finding.fault) for finding in read(text, longest=8).findings]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A\nB\nC", ["A", "B", "C"]),
        ("A\r\nB\r\n", ["A", "B"]),
        ("A\rB", ["A", "B"]),
        ("\ufeffA\nB", ["A", "B"]),
        ("  A  \n\n\n B\n", ["A", "B"]),
        ('"A"\n"B"', ["A", "B"]),
        ("code\nA", ["A"]),
        ("\n\nCoupon Code;\nA;\n", ["A"]),
        ("A,\nB;\nC\t", ["A", "B", "C"]),
        ("A B-1", ["A B-1"]),
        ("王小明", ["王小明"]),
        ("a\nA", ["a", "A"]),
        ("", []),
    ],
)
def test_what_people_paste_is_understood(text, found):
    reading = read(text, longest=8)

    assert (reading.codes, reading.findings) == (found, ())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A\nB\nA", [(3, Fault.DOUBLED)]),
        ("A\0B", [(1, Fault.UNPRINTABLE)]),
        ("A\x1b\nB\u2028", [(1, Fault.UNPRINTABLE), (2, Fault.UNPRINTABLE)]),
        ("A\u00a0B", [(1, Fault.UNPRINTABLE)]),
        ("A\u202eB\nA\u200bB", [(1, Fault.UNPRINTABLE), (2, Fault.UNPRINTABLE)]),
        ("A\u3164\nB\u2800", [(1, Fault.UNPRINTABLE), (2, Fault.UNPRINTABLE)]),
        ("123456789", [(1, Fault.TOO_LONG)]),
        ("A,5.00\nB", [(1, Fault.SEVERAL)]),
        ("A\ncode\ncode", [(3, Fault.DOUBLED)]),
        ("A\0\ncode", [(1, Fault.UNPRINTABLE)]),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, found):
    assert faults(text) == found


def test_a_repeated_code_is_told_with_the_line_it_repeats():
    assert read("A\nB\n\nB", longest=8).findings == (Finding(4, Fault.DOUBLED, first=2),)


def test_blank_lines_and_a_heading_are_counted():
    reading = read("Voucher\n\nA\n \n\n", longest=8)

    assert (reading.codes, reading.blank, reading.heading) == (["A"], 3, True)


lines = st.lists(st.text(alphabet=' "AB,;\t\0é', max_size=10), max_size=12)


@given(lines, st.sampled_from(["\n", "\r\n", "\r"]))
def test_every_line_is_a_code_a_finding_blank_or_the_heading(lines, end):
    reading = read(end.join([*lines, ""]), longest=8)

    accounted = len(reading.codes) + len(reading.findings) + reading.blank + reading.heading
    assert accounted == len(lines)


@given(st.text())
def test_what_is_taken_is_always_fit_to_be_kept(text):
    for code in codes(text):
        assert 0 < len(code) <= 8
        assert code.isprintable()
        assert code == code.strip()


@given(st.lists(st.text(alphabet="ABC-123", min_size=1, max_size=8), unique=True, max_size=30))
def test_a_sound_list_is_taken_whole_and_in_order(wanted):
    reading = read("\n".join(wanted), longest=8)

    assert (reading.codes, reading.findings) == (wanted, ())
    assert [reading.lines[code] for code in wanted] == list(range(1, len(wanted) + 1))
