"""Counts as bars: the outline that an SVG path fills."""

from collections.abc import Sequence


def outline(counts: Sequence[int], *, width: int, height: int, gap: int) -> str:
    """Return the outline of the bars; ``width`` is that of a bar and the ``gap`` behind it.

    The most has the whole height, and a count above zero always has some.
    """
    most = max(counts, default=0)
    tops = [height - -(-count * height // most) if count else height for count in counts]
    return "".join(
        f"M{number * width} {height}V{top}h{width - gap}V{height}z" for number, top in enumerate(tops) if top < height
    )
