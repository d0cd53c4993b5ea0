"""The manual's chart of growth: a small SVG by hand that reads in light and in dark."""

import math
from collections.abc import Iterator, Mapping, Sequence

from tests.harness.program import ROOT

PATH = ROOT / "docs" / "pages" / "pictures" / "growth.svg"
WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 168, 48, 44
LINE_HEIGHT = 15
SERIES = (("rescan, 500 due", "a"), ("chunk of 50", "b"), ("message list", "c"))

STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #57606a }
  .title { font-size: 14px; font-weight: 600; fill: #1f2328 }
  .grid { stroke: #d0d7de } .line { fill: none; stroke-width: 2 }
  .a { stroke: #0969da } .b { stroke: #1a7f37 } .c { stroke: #9a6700 }
  circle.a { fill: #0969da } circle.b { fill: #1a7f37 } circle.c { fill: #9a6700 }
  text.a { fill: #0969da; stroke: none } text.b { fill: #1a7f37; stroke: none } text.c { fill: #9a6700; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 } .title { fill: #f0f6fc } .grid { stroke: #3d444d }
    .a { stroke: #4493f8 } .b { stroke: #3fb950 } .c { stroke: #d29922 }
    circle.a { fill: #4493f8 } circle.b { fill: #3fb950 } circle.c { fill: #d29922 }
    text.a { fill: #4493f8 } text.b { fill: #3fb950 } text.c { fill: #d29922 }
  }
"""


def write_chart(points: Mapping[int, Sequence[float]]) -> None:
    """Write the chart: by number of finished rows, the milliseconds of each step."""
    PATH.write_text(render_svg(points))


def render_svg(points: Mapping[int, Sequence[float]]) -> str:
    """Return the chart as SVG, rows on a logarithmic axis, milliseconds from nought."""
    top = _ceiling(max(max(values) for values in points.values()))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title">',
        '<title id="title">Milliseconds of each step by the number of finished messages in the table</title>',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="24">Milliseconds, by finished messages in the table</text>',
        *_grid(points, top),
        *(part for place in range(len(SERIES)) for part in _series(points, place, top)),
        *_labels(points, top),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid(points: Mapping[int, Sequence[float]], top: float) -> list[str]:
    levels = [top * share / 4 for share in range(5)]
    lines = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(level, top):.1f}" y2="{_y(level, top):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{_y(level, top) + 4:.1f}" text-anchor="end">{level:g}</text>'
        for level in levels
    ]
    labels = [
        f'<text x="{_x(size, points):.1f}" y="{HEIGHT - BOTTOM + 22}" text-anchor="middle">{size:,}</text>'
        for size in points
    ]
    return lines + labels


def _series(points: Mapping[int, Sequence[float]], place: int, top: float) -> list[str]:
    _name, shade = SERIES[place]
    spots = [(_x(size, points), _y(values[place], top)) for size, values in points.items()]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    return [
        f'<polyline class="line {shade}" points="{path}"/>',
        *(f'<circle class="{shade}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in spots),
    ]


def _labels(points: Mapping[int, Sequence[float]], top: float) -> Iterator[str]:
    """Name each line at its end, no label upon another."""
    [*_before, (size, values)] = points.items()
    x, free = _x(size, points) + 10, 0.0
    for value, (name, shade) in sorted(zip(values, SERIES, strict=True), reverse=True):
        y = max(_y(value, top) + 4, free)
        free = y + LINE_HEIGHT
        yield f'<text class="{shade}" x="{x:.1f}" y="{y:.1f}">{name}: {value:.1f} ms</text>'


def _x(size: int, points: Mapping[int, Sequence[float]]) -> float:
    first, last = math.log10(min(points)), math.log10(max(points))
    return LEFT + 24 + (WIDTH - LEFT - RIGHT - 48) * (math.log10(size) - first) / (last - first)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _ceiling(value: float) -> float:
    """Return the next number above ``value`` that four lines divide well."""
    step = 10.0 ** math.floor(math.log10(value))
    return next(step * factor for factor in (1, 2, 4, 6, 8, 10) if step * factor >= value)
