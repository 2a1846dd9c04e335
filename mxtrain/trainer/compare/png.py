"""Line charts as PNG, drawn by matplotlib (the extra ``plot``)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec

from mxtrain.trainer.compare.curves import Panel
from mxtrain.trainer.errors import SetupError

DOTS_PER_INCH = 120


def check_png() -> None:
    """Refuse (SetupError) a PNG where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise SetupError(
            "a PNG needs matplotlib, which is not installed; "
            "install it with: pip install 'mxtrain[plot]', or use the SVG"
        )


def draw_png(panels: Sequence[Panel]) -> bytes:
    """Return a PNG of `panels` (at least one) below one another, with one legend."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6 * len(panels)), dpi=DOTS_PER_INCH, layout="constrained")
    for number, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(len(panels), 1, number)
        for place, line in enumerate(panel.lines):
            epochs, values = zip(*line.points, strict=True)
            style = (0, line.dash) if line.dash else "-"
            dot = "x" if line.failed else "o" if len(epochs) == 1 else ""
            axes.plot(
                epochs,
                values,
                color=line.color,
                linestyle=style,
                label=line.key,
                marker=dot,
                markevery=[-1],
                zorder=3 + len(panel.lines) - place,
            )
        if panel.mark is not None:
            axes.axhline(panel.mark, color="#222", linestyle=":", linewidth=1)
        axes.set_yscale("log" if panel.log else "linear")
        if not panel.log and panel.low < panel.high:
            room = (panel.high - panel.low) * 0.04
            axes.set_ylim(panel.low - room, panel.high + room)
        axes.set_title(panel.title, loc="left", fontweight="bold")
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(color="#ddd")
        if number == 1:
            handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8)
    target = io.BytesIO()
    figure.savefig(target, format="png")
    return target.getvalue()
