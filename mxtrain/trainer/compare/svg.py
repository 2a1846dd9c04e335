"""Line charts as SVG text, without a library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from mxtrain.trainer.compare.curves import Line, Panel

PLOT_WIDTH, PLOT_HEIGHT = 620, 300
LEFT, TOP, BETWEEN, BOTTOM = 70, 40, 70, 50
LEGEND_LINE, CHARACTER = 18, 7.4
FONT = 'font-family="Helvetica, Arial, sans-serif" font-size="12"'

Scale = Callable[[float], float]


def draw(panels: Sequence[Panel]) -> str:
    """Return an SVG document of `panels` (at least one) below one another, with one legend."""
    lines = _legend_lines(panels)
    longest = max(len(line.key) for line in lines)
    width = LEFT + PLOT_WIDTH + 20 + 40 + longest * CHARACTER + 20
    plots = len(panels) * (PLOT_HEIGHT + BETWEEN) - BETWEEN
    height = TOP + max(plots, len(lines) * LEGEND_LINE) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" {FONT} fill="#222">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<clipPath id="plot"><rect x="-6" y="-6" width="{PLOT_WIDTH + 12}" '
        f'height="{PLOT_HEIGHT + 12}"/></clipPath>',
    ]
    for number, panel in enumerate(panels):
        top = TOP + number * (PLOT_HEIGHT + BETWEEN)
        parts += [f'<g transform="translate({LEFT},{top})">', *_panel(panel), "</g>"]
    left = LEFT + PLOT_WIDTH + 20
    parts += [f'<g transform="translate({left},{TOP})">', *_legend(lines), "</g>", "</svg>"]
    return "\n".join(parts) + "\n"


def _legend_lines(panels: Sequence[Panel]) -> list[Line]:
    lines = {line.key: line for panel in reversed(panels) for line in panel.lines}
    first = [line.key for line in panels[0].lines]
    return [lines[key] for key in dict.fromkeys([*first, *lines])]


def _legend(lines: Sequence[Line]) -> list[str]:
    parts = []
    for number, line in enumerate(lines):
        y = number * LEGEND_LINE + 6
        parts.append(f'<path d="M0 {y}H28" {_stroke(line)}/>')
        note = " ×" if line.failed else ""
        parts.append(f'<text x="36" y="{y + 4}">{escape(line.key)}{note}</text>')
    return parts


def _panel(panel: Panel) -> list[str]:
    low, high = panel.low, panel.high
    ticks = log_ticks(low, high) if panel.log else linear_ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    y = _scale(low, high, PLOT_HEIGHT, 0, panel.log)
    epochs = [x for line in panel.lines for x, _ in line.points]
    first, last = min(epochs), max(epochs)
    x = _scale(first, last, 0, PLOT_WIDTH)
    parts = [f'<text y="-12" font-size="14" font-weight="bold">{escape(panel.title)}</text>']
    for tick in ticks:
        level = f"{y(tick):.1f}"
        parts.append(f'<path d="M0 {level}H{PLOT_WIDTH}" stroke="#ddd"/>')
        parts.append(
            f'<text x="-8" y="{float(level) + 4:.1f}" text-anchor="end">{_number(tick)}</text>'
        )
    for tick in epoch_ticks(int(first), int(last)):
        parts.append(
            f'<text x="{x(tick):.1f}" y="{PLOT_HEIGHT + 18}" text-anchor="middle">{tick:g}</text>'
        )
    parts.append(f'<text x="{PLOT_WIDTH}" y="{PLOT_HEIGHT + 34}" text-anchor="end">epoch</text>')
    if panel.mark is not None:
        level = f"{y(panel.mark):.1f}"
        parts.append(f'<path d="M0 {level}H{PLOT_WIDTH}" stroke="#222" stroke-dasharray="1 4"/>')
    # the best is drawn last, above the others
    parts.append('<g clip-path="url(#plot)">')
    for line in reversed(panel.lines):
        parts += _curve(line, x, y)
    return [*parts, "</g>"]


def _curve(line: Line, x: Scale, y: Scale) -> list[str]:
    places = [f"{x(epoch):.1f} {y(value):.1f}" for epoch, value in line.points]
    title = f"<title>{escape(line.key)}</title>"
    parts = [f'<path d="M{"L".join(places)}" fill="none" {_stroke(line)}>{title}</path>']
    end_x, end_y = (float(number) for number in places[-1].split())
    if line.failed:
        cross = f"M{end_x - 4:.1f} {end_y - 4:.1f}l8 8m0 -8l-8 8"
        parts.append(f'<path d="{cross}" stroke="{line.color}" stroke-width="2"/>')
    elif len(places) == 1:
        parts.append(f'<circle cx="{end_x}" cy="{end_y}" r="3" fill="{line.color}"/>')
    return parts


def _stroke(line: Line) -> str:
    dash = f' stroke-dasharray="{" ".join(map(str, line.dash))}"' if line.dash else ""
    return f'stroke="{line.color}" stroke-width="1.8" stroke-linejoin="round"{dash}'


def epoch_ticks(first: int, last: int) -> list[int]:
    """Return the first epoch, and round ones up to the last that stand clear of it.

    >>> epoch_ticks(1, 20), epoch_ticks(3, 3)
    ([1, 5, 10, 15, 20], [3])
    """
    ticks = [int(tick) for tick in linear_ticks(first, last) if tick == int(tick)]
    clear = (last - first) / 20
    return [first, *(tick for tick in ticks if first + clear < tick <= last)]


def _scale(low: float, high: float, start: float, stop: float, log: bool = False) -> Scale:
    """Return what maps `low` to `start` and `high` to `stop`; a single value to the middle."""
    place: Callable[[float], float] = math.log10 if log else float
    origin, span = place(low), place(high) - place(low)
    if span == 0 or not math.isfinite(span):
        return lambda value: (start + stop) / 2
    return lambda value: start + (place(value) - origin) / span * (stop - start)


def linear_ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Return round numbers, evenly spaced, of which the outer ones enclose ``low..high``.

    >>> linear_ticks(0.12, 0.97)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if high <= low or not math.isfinite(high - low):
        return [low]
    raw = (high - low) / about
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(-math.floor(math.log10(step)), 0)
    return [round(number * step, digits) for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten that enclose ``low..high`` (above 0), with 2 and 5 between few of them.

    >>> log_ticks(0.03, 4.0)
    [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    step = max((last - first) // 8, 1)
    factors = (1, 2, 5) if last - first <= 4 else (1,)
    exponents = range(first, last + step, step)
    ticks = [float(f"{factor}e{exponent}") for exponent in exponents for factor in factors]
    start = max(index for index, tick in enumerate(ticks) if tick <= low or index == 0)
    stop = min(index for index, tick in enumerate(ticks) if tick >= high or tick == ticks[-1])
    return ticks[start : stop + 1]


def _number(value: float) -> str:
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e")
