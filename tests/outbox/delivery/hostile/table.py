"""The list of cases with the oracle's verdict, printed at the end of a run."""

from typing import Any

PROPERTY = "hostile"
COLUMNS = ("kind", "case", "way", "neighbours", "guilty", "status", "reason", "process", "verdict")


def print_cases(reporter: Any) -> None:
    """Print one line for every hostile case of the run, and how many there were of each kind."""
    rows = {
        tuple(value)
        for reports in reporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY
    }
    if not rows:
        return
    lines = [COLUMNS, *sorted(rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    reporter.section("hostile handlers")
    for line in lines:
        reporter.write_line("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    good = sum(row[-1] == "good" for row in rows)
    reporter.write_line(f"{len({row[:2] for row in rows})} cases, {len(rows)} trials, {good} good")
