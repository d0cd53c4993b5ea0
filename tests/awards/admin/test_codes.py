"""Reading lists of codes: whatever is pasted, each line is a code, passed over, or told with its number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from awards.codes import FaultyLine, LineFault, read_codes


def codes(text: str) -> list[str]:
    return read_codes(text, longest=8).codes


def faults(text: str) -> list[tuple[int, LineFault]]:
    return [(line.line, line.fault) for line in read_codes(text, longest=8).faulty_lines]


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
    code_list = read_codes(text, longest=8)

    assert (code_list.codes, code_list.faulty_lines) == (found, ())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A\nB\nA", [(3, LineFault.DOUBLED)]),
        ("A\0B", [(1, LineFault.UNPRINTABLE)]),
        ("A\x1b\nB\u2028", [(1, LineFault.UNPRINTABLE), (2, LineFault.UNPRINTABLE)]),
        ("A\u00a0B", [(1, LineFault.UNPRINTABLE)]),
        ("A\u202eB\nA\u200bB", [(1, LineFault.UNPRINTABLE), (2, LineFault.UNPRINTABLE)]),
        ("A\u3164\nB\u2800", [(1, LineFault.UNPRINTABLE), (2, LineFault.UNPRINTABLE)]),
        ("123456789", [(1, LineFault.TOO_LONG)]),
        ("A,5.00\nB", [(1, LineFault.SEVERAL)]),
        ("A\ncode\ncode", [(3, LineFault.DOUBLED)]),
        ("A\0\ncode", [(1, LineFault.UNPRINTABLE)]),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, found):
    assert faults(text) == found


def test_a_repeated_code_is_told_with_the_line_it_repeats():
    assert read_codes("A\nB\n\nB", longest=8).faulty_lines == (FaultyLine(4, LineFault.DOUBLED, first=2),)


def test_blank_lines_and_a_heading_are_counted():
    code_list = read_codes("Voucher\n\nA\n \n\n", longest=8)

    assert (code_list.codes, code_list.blank, code_list.heading) == (["A"], 3, True)


lines = st.lists(st.text(alphabet=' "AB,;\t\0é', max_size=10), max_size=12)


@given(lines, st.sampled_from(["\n", "\r\n", "\r"]))
def test_every_line_is_a_code_a_fault_blank_or_the_heading(lines, end):
    code_list = read_codes(end.join([*lines, ""]), longest=8)

    accounted = len(code_list.codes) + len(code_list.faulty_lines) + code_list.blank + code_list.heading
    assert accounted == len(lines)


@given(st.text())
def test_what_is_taken_is_always_fit_to_be_kept(text):
    for code in codes(text):
        assert 0 < len(code) <= 8
        assert code.isprintable()
        assert code == code.strip()


@given(st.lists(st.text(alphabet="ABC-123", min_size=1, max_size=8), unique=True, max_size=30))
def test_a_sound_list_is_taken_whole_and_in_order(wanted):
    code_list = read_codes("\n".join(wanted), longest=8)

    assert (code_list.codes, code_list.faulty_lines) == (wanted, ())
    assert [code_list.lines[code] for code in wanted] == list(range(1, len(wanted) + 1))
