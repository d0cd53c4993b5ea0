"""The table at the end, for people."""

from collections.abc import Iterable

from benchmarks.measurements import Ratio, rounded

HEAD = ("part", "ratio", "required", "measured", "met?", "median figures")


def print_table(ratios: Iterable[Ratio]) -> None:
    """Print each ratio beside what is required of it."""
    rows = [HEAD, *(_row(ratio) for ratio in ratios)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(ratio: Ratio) -> tuple[str, ...]:
    least, most = rounded(min(ratio.rounds)), rounded(max(ratio.rounds))
    spread = f"{rounded(ratio.measured)}{ratio.unit} ({least} to {most})"
    met = "-" if ratio.required == "-" else "yes" if ratio.is_met else "NO"
    return ratio.part, ratio.name, ratio.required, spread, met, ratio.figures
