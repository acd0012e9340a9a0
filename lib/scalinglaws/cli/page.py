"""The page of ``scalinglaws fit --report``: one file with the data, the fit, its figures, and what to distrust.

The page loads nothing: figures are inline SVG. On dark screens figures are inverted, as in the book.
"""

import io
import re
from html import escape
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from numpy.typing import NDArray

from scalinglaws.book import figures
from scalinglaws.cli.report import LEVEL, Report
from scalinglaws.files import PACKAGE
from scalinglaws.laws.backtest import Backtest
from scalinglaws.laws.bootstrap import Bootstrap
from scalinglaws.laws.frontier import Frontier, Resampled
from scalinglaws.tables import Points

__all__ = ["backtest_html", "figures_of", "html"]

SHOWN = 2000  # points in a figure; more would cover each other
FAR = 10.0  # times the largest budget: where the line of the optimum ends
LOOK = ["default", str(PACKAGE / "book" / "book.mplstyle")]


def html(report: Report) -> str:
    """Return the page of a report, for light and dark screens."""
    record, look = report.record(), (PACKAGE / "cli" / "page.css").read_text(encoding="utf-8")
    cautions = "".join(f"<li>{escape(text)}</li>" for text in report.cautions)
    notes = "".join(f"<li>{escape(text)}</li>" for text in (*report.points.notes, *report.notes))
    columns = "".join(
        f"<tr><th>{letter}</th><td>{column.min():.5g}</td><td>{np.median(column):.5g}</td><td>{column.max():.5g}</td></tr>"
        for letter, column in report.points.columns.items()
    )
    figures = "".join(
        f'<h2>{escape(title)}</h2><figure role="img" aria-label="{escape(alt)}">{_svg(figure, f"f{k}-")}'
        f"<figcaption>{escape(alt)}</figcaption></figure>"
        for k, (title, alt, figure) in enumerate(figures_of(report))
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Scaling law fit: {escape(record["law"])}</title><style>{look}</style></head><body><main>
<h1>Scaling law fit: {escape(record["law"])}</h1>
<p class="status">{escape(record["status"])}: {escape(record["message"])}</p>
<h2>What to distrust</h2><ul>{cautions or "<li>Nothing that these checks can see.</li>"}</ul>
<h2>The data</h2><p>{len(report.points):,} points; losses in {escape(report.points.unit)}.</p><ul>{notes}</ul>
<table><tr><th></th><th>lowest</th><th>median</th><th>highest</th></tr>{columns}</table>
<h2>The fit</h2>{_numbers(report)}
{figures}
<h2>As text</h2><pre>{escape(report.text())}</pre>
</main></body></html>
"""


def backtest_html(found: Backtest, points: Points) -> str:
    """Return the page of a hold-out by compute, for light and dark screens."""
    look = (PACKAGE / "cli" / "page.css").read_text(encoding="utf-8")
    with style.context(LOOK):
        figure, ax = _axes()
        figures.plot(found, ax=ax)
    heads = ("below", "seen", "hidden", "mean error", "rms", "inside", "status")
    rows = "".join(
        f"<tr><th>1/{cut.factor:g}</th><td>{cut.n_seen}</td><td>{cut.n_hidden}</td><td>{cut.mean_error:+.2%}</td>"
        f"<td>{cut.rms:.2%}</td><td>{cut.inside:.0%}</td><td>{cut.found.status}</td></tr>"
        for cut in found.cuts
    )
    alt = "How far each hidden run came out above its forecast, by how far its compute lies beyond what the fit saw."
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Hold-out by compute: {escape(found.law.name)}</title><style>{look}</style></head><body><main>
<h1>Hold-out by compute: {escape(found.law.name)}</h1>
<p class="status">{escape(found.line())}</p>
<p>{len(points):,} points.</p><ul>{"".join(f"<li>{escape(text)}</li>" for text in points.notes)}</ul>
<table><tr>{"".join(f"<th>{head}</th>" for head in heads)}</tr>{rows}</table>
<figure role="img" aria-label="{escape(alt)}">{_svg(figure, "f0-")}<figcaption>{escape(alt)} Bands: the interval of a
new run.</figcaption></figure>
<h2>As text</h2><pre>{escape(found.summary())}</pre>
</main></body></html>
"""


def _numbers(report: Report) -> str:
    """Table of the estimates with their intervals."""
    if isinstance(report.found, Frontier):
        values = {name: getattr(report.found, name) for name in ("a", "b", "N_scale", "D_scale")}
    else:
        values = dict(report.found.theta) | dict(zip("ab", report.exponents or (), strict=False))
    rows = ""
    for name, value in values.items():
        ends = (report.intervals or {}).get(name)
        shown = "" if ends is None else f"{ends[0]:.5g} to {ends[1]:.5g}"
        rows += f"<tr><th>{escape(name)}</th><td>{value:.5g}</td><td>{shown}</td></tr>"
    return f"<table><tr><th></th><th>estimate</th><th>{LEVEL:.0%} interval</th></tr>{rows}</table>"


def figures_of(report: Report) -> list[tuple[str, str, Figure]]:
    """Title, caption and figure of each figure."""
    with style.context(LOOK):
        if not report.usable:
            return []
        if isinstance(report.found, Frontier):
            return [*([_isoflop_figure(report)] if report.approach == "2" else []), _frontier_figure(report)]
        if report.exponents is None:
            return [_residual_figure(report)]
        isoflops = [_isoflop_figure(report)] if {*report.found.x} == {"N", "D"} else []
        return [*isoflops, _residual_figure(report), _optimum_figure(report)]


def _axes(n: int = 1) -> tuple[Figure, Any]:
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    return figure, figure.subplots(1, n)


def _some(size: int) -> NDArray[np.intp]:
    """Indices of the points that are drawn."""
    return np.unique(np.linspace(0, size - 1, min(size, SHOWN)).astype(int))


def _isoflop_figure(report: Report) -> tuple[str, str, Figure]:
    """Loss against size on each budget, with the parabolas or the law, and their minima."""
    C, N, L = (report.points.columns[letter] for letter in "CNL")
    figure, ax = _axes()
    drawn = _some(L.size)
    runs, found = {"C": C[drawn], "N": N[drawn], "L": L[drawn]}, report.found
    if isinstance(found, Frontier):
        figures.valleys(ax, found, **runs)
        caption = "Runs by size, their parabola on each budget, and its vertex. Dotted: a budget that was refused."
    else:
        ln_C = np.quantile(np.log(C), (np.arange(7) + 0.5) / 7, method="nearest")
        apart = np.diff(ln_C, prepend=-np.inf) > 0.2  # closer ones are one budget, a little off
        figures.valleys(ax, found, budgets=np.exp(ln_C[apart]), **runs)
        caption = "Runs by size, each with the nearest of some budgets C. Lines: the law there; diamonds: its optimum."
    ax.set_ylabel(f"loss ({report.points.unit})")
    return "IsoFLOP view", caption, figure


def _residual_figure(report: Report) -> tuple[str, str, Figure]:
    """Residuals against each variable."""
    found: Any = report.found
    letters = list(found.x)[:2]
    figure, axes = _axes(2) if len(letters) == 2 else _axes()
    off = 100 * np.log(found.L / found.predict(**found.x))
    drawn = _some(off.size)
    for ax, letter in zip(np.ravel(axes), letters, strict=True):
        ax.axhline(0.0, color="C1")
        ax.plot(found.x[letter][drawn], off[drawn], "o", color="C0", markersize=3.5)
        ax.set(xscale="log", xlabel=letter, ylabel="ln loss − ln fit (%)")
    caption = "How far each run lies from the law, in percent. A pattern means that the law has the wrong form."
    return "Residuals", caption, figure


def _sizes(report: Report) -> tuple[Figure, Any, NDArray[np.float64]]:
    """A figure of the runs' sizes against compute, its axes, and compute to ten times the largest budget."""
    figure, ax = _axes()
    C, N = (report.points.columns[letter] for letter in "CN")
    drawn = _some(C.size)
    ax.plot(C[drawn], N[drawn], ".", color="C0", markersize=3, label="runs")
    ax.set(xscale="log", yscale="log", xlabel="training compute C (FLOPs)", ylabel="parameters N")
    return figure, ax, np.geomspace(C.min(), FAR * C.max(), 100)


def _optimum_figure(report: Report) -> tuple[str, str, Figure]:
    """Compute-optimal size against compute, with its interval."""
    found: Any = report.found
    figure, ax, reach = _sizes(report)
    if isinstance(report.cloud, Bootstrap):
        low, high = report.cloud.interval(lambda theta: found.law.optimum(theta, reach)[0], level=LEVEL)
        ax.fill_between(reach, low, high, color="C1", alpha=0.25, linewidth=0, label=f"{LEVEL:.0%} interval")
    best = found.law.optimum(found.theta, reach)[0]
    inside = reach <= report.points.columns["C"].max()
    ax.plot(reach, best, "--", color="C1", linewidth=1)
    ax.plot(reach[inside], best[inside], color="C1", label="compute-optimal N")
    ax.set_xlabel("training compute 6 N D (FLOPs)")
    ax.legend()
    caption = "Compute-optimal size; dashed: beyond the largest budget. The interval is for noise, not for a wrong law."
    return "Optimal size", caption, figure


def _frontier_figure(report: Report) -> tuple[str, str, Figure]:
    """Optima and the power law through them."""
    found: Any = report.found
    figure, ax, reach = _sizes(report)
    if isinstance(report.cloud, Resampled):
        low, high = report.cloud.interval(lambda resampled: resampled.optimum(reach)[0], level=LEVEL)
        ax.fill_between(reach, low, high, color="C1", alpha=0.25, linewidth=0, label=f"{LEVEL:.0%} interval")
    ax.plot(found.C, found.N, "o", color="C1", label="optima")
    ax.plot(reach, found.optimum(reach)[0], color="C1", label=f"N ∝ C^{found.a:.5g}")
    ax.legend()
    return "Optimal size", f"Optima of {found.source}, and the power law through them.", figure


def _svg(figure: Figure, prefix: str) -> str:
    """A figure as inline SVG: names of its own, no namespaces, no metadata."""
    out = io.StringIO()
    with style.context(LOOK):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    return re.sub(r'(url\(|href=")#', rf"\g<1>#{prefix}", text)
