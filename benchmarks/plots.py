"""Lines over logarithmic axes, as SVG."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from options import Plot

matplotlib.use("svg")
# The same picture gives the same file; text stays text.
matplotlib.rcParams.update({"svg.hashsalt": "mxtrain", "svg.fonttype": "none", "font.size": 9})

MARKERS = "os^Dv<>PX*"


def draw(plot: Plot, path: Path) -> None:
    """Write a plot as SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for curve, marker in zip(plot.curves, MARKERS, strict=False):
        axes.plot(curve.x, curve.y, marker=marker, markersize=4, linewidth=1.2, label=curve.label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    axes.set_title(plot.title, loc="left")
    axes.grid(True, which="major", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path, metadata={"Date": None})
