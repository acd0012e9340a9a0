"""Figures. Each function takes an ``ax`` and a table or a `Fit`, draws, and labels the axes with their units.

Colors are the caller's cycle (``C0``, ``C1``) and, for an ordered quantity, `shades`: both can be told apart by
color-blind readers, and shape or dash says the same again. Nothing here opens a figure or changes a setting.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter
from numpy.typing import ArrayLike, NDArray

from scalinglaws.book.claims import number
from scalinglaws.counting import tokens_6nd
from scalinglaws.laws.backtest import Backtest
from scalinglaws.laws.bootstrap import Bootstrap
from scalinglaws.laws.fit import Fit
from scalinglaws.laws.frontier import Budget, Frontier
from scalinglaws.laws.law import PowerSum

__all__ = ["LABELS", "curves", "exponents", "plot", "power_law", "residuals", "shades", "ticks", "valleys"]

MARKS = "osv^PXdp"  # of budgets, in turn
Places = Sequence[float] | Mapping[float, object]  # of ticks, or their texts by place
LABELS = {
    "n_params": "parameters N, all",
    "n_params_nonemb": "parameters N, without embeddings",
    "n_params_matmul": "parameters N, with the head",
    "tokens": "tokens D",
    "flops": "training compute C (FLOPs)",
    "flops_6nd": "training compute 6 N D (FLOPs)",
    "loss": "validation loss (nats per token)",
    "train_loss": "training loss (nats per token)",
    "N": "parameters N",
    "D": "tokens D",
    "C": "training compute C (FLOPs)",
    "S": "steps S",
    "B": "batch size B",
}


def plot(found: Fit | Frontier | Backtest, *, ax: Axes | None = None) -> Axes:
    """Draw a fit with its points, a frontier with its optima, or what forecasts missed, and return the axes.

    A law of one variable is a curve with its floor. One of two variables is a map of equal losses, on which a run whose
    color is not that of the map around it is off the law; the dashed line joins the sizes that are best for their
    compute. A frontier is the best N against C, with standard errors, the sizes that were tried and the 95% interval of
    the power law as far as 10 times the largest budget; a budget without a circle was refused. A backtest is the error
    of each hidden run against how far its compute lies beyond what the fit saw, with the interval of a new run.

    Parameters
    ----------
    found : Fit, Frontier or Backtest
    ax : Axes, optional
        Left out, those of a new figure.

    Raises
    ------
    ValueError
        If the law has more than two variables.

    >>> from scalinglaws import laws, runs
    >>> from scalinglaws.laws.fit import fit
    >>> table = runs.stored("isoflop")
    >>> ax = plot(fit(laws.chinchilla, N=table["n_params_nonemb"], D=table["tokens"], L=table["loss"]))
    >>> ax.get_xlabel()
    'tokens D'
    """
    if isinstance(found, Fit) and len(found.x) > 2:
        raise ValueError(f"{found.law.name} is a law of {', '.join(found.x)}; plot takes one or two, see residuals")
    if ax is None:
        from matplotlib import pyplot  # here, since it looks for a display

        ax = pyplot.figure().add_subplot()
    if isinstance(found, Backtest):
        _misses(ax, found)
    elif isinstance(found, Frontier):
        _frontier(ax, found)
    elif len(found.x) == 2:
        _map(ax, found)
    else:
        ((letter, x),) = found.x.items()
        of = found.law.latex.partition("(")[0]  # some laws are of steps, batches or errors
        power_law(ax, x, found.L, found, xlabel=letter, ylabel="loss" if of == "L" else f"${of}$", symbol=letter)
    return ax


def _misses(ax: Axes, found: Backtest) -> None:
    """What each hidden run came out above its forecast, by how far it lay beyond the runs that were seen."""
    for k, cut in enumerate(found.cuts):
        order, color = np.argsort(cut.reach, kind="stable"), f"C{k}"
        label = f"fitted below 1/{cut.factor:g}, rms {100 * cut.rms:.2g}%"
        ax.fill_between(cut.reach[order], 100 * cut.low[order], 100 * cut.high[order], color=color, alpha=0.15, lw=0)
        ax.plot(cut.reach, 100 * cut.error, "os^Dv"[k % 5], color=color, label=label, markersize=5)
    ax.axhline(0.0, color="0.5", linewidth=1)
    ax.set(xscale="log", xlabel="compute over the largest that was seen", ylabel="ln loss − ln forecast (%)")
    ax.legend(title=found.law.name)


def power_law(
    ax: Axes, x: ArrayLike, L: ArrayLike, fit: Fit, *, xlabel: str, ylabel: str = "loss", symbol: str = "x",
    cloud: Bootstrap | None = None, level: float = 0.95,
) -> None:  # fmt: skip
    """Draw runs and a fitted power law in log-log, with its floor if it has one.

    Runs that were not among the fitted points are hollow, and the law is dashed where it extrapolates to them.

    Parameters
    ----------
    ax : Axes
    x, L : array_like [n]
        Runs to show: the fitted ones, and any held back to test the prediction.
    fit : Fit
        Of a law in one variable, such as `laws.power_floor`.
    xlabel, ylabel : str
        A column of the run table, or any other text with its unit.
    symbol : str
        Letter for x in the formula of the legend.
    cloud : Bootstrap, optional
        Draws the interval of the law around it, of probability ``level``.
    """
    if len(fit.law.variables) != 1:
        raise ValueError(f"{fit.law.name} is a law of {', '.join(fit.law.variables)}; this figure takes one variable")
    ((letter, fitted_x),) = fit.x.items()
    x, L = np.asarray(x, float), np.asarray(L, float)
    fitted = np.isin(x + 1j * L, fitted_x + 1j * fit.L)  # one number per run, so that both must match

    reach = np.geomspace(min(x.min(), fitted_x.min()), max(x.max(), fitted_x.max()), 200)
    inside = np.geomspace(fitted_x.min(), fitted_x.max(), 200)
    if cloud is not None:
        low, high = cloud.interval(lambda theta: fit.law.value(theta, reach), level=level)
        ax.fill_between(reach, low, high, color="C1", alpha=0.2, linewidth=0, label=f"{100 * level:g}% interval")
    ax.plot(reach, fit.predict(**{letter: reach}), color="C1", linestyle="--", linewidth=1)
    ax.plot(inside, fit.predict(**{letter: inside}), color="C1", label=_formula(fit, symbol))
    floor = fit.theta["E"] if fit.law.has_floor else 0.0
    if floor > 0:
        ax.axhline(floor, color="C2", linestyle=":", label=f"floor {floor:.4g}")
    ax.plot(x[fitted], L[fitted], "o", color="C0", label="runs")
    if not fitted.all():
        ax.plot(x[~fitted], L[~fitted], "o", color="C0", markerfacecolor="none", label="runs not in the fit")
    _log_axes(ax, xlabel, ylabel)
    ax.legend()


def residuals(ax: Axes, fit: Fit, *, against: str, xlabel: str) -> None:
    """Draw how far the fitted points lie from the law, in percent, against one of its variables.

    Dotted lines mark Huber's threshold: what lies beyond pulls with constant force, however far out. ``against`` is the
    letter of the variable, such as ``"N"``; ``xlabel`` a column of the run table, or any other text with its unit.
    """
    if against not in fit.x:
        raise ValueError(f"{fit.law.name} is a law of {', '.join(fit.x)}; got {against!r}")
    off = 100 * np.log(fit.L / fit.predict(**fit.x))
    ax.axhline(0.0, color="C1")
    if fit.residual == "log" and np.isfinite(fit.delta):
        for sign in (-1, 1):
            ax.axhline(sign * 100 * fit.delta, color="C1", linestyle=":", linewidth=1)
    ax.plot(fit.x[against], off, "o", color="C0")
    ax.set(xscale="log", xlabel=LABELS.get(xlabel, xlabel), ylabel="ln loss − ln fit (%)")


def shades(n: int) -> NDArray[np.float64]:
    """Colors for n ordered lines, dark blue to orange, shape (n, 4): contrast 3 on white, and inverted on black."""
    return colormaps["plasma"](np.linspace(0, 0.64, n))


def curves(ax: Axes, table: pd.DataFrame, *, by: str, x: str = "tokens", y: str = "train_loss") -> None:
    """Draw learning curves in log-log, one line per value of ``by``, darker to lighter.

    The table has one row per reading, and columns ``by``, such as ``"n_params_nonemb"``, ``x`` and ``y``.
    """
    missing = [column for column in (by, x, y) if column not in table]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}; the table has {', '.join(table.columns)}")
    groups = list(table.groupby(by))
    for shade, (value, curve) in zip(shades(len(groups)), groups, strict=True):
        ordered = curve.sort_values(x)
        ax.plot(ordered[x], ordered[y], color=shade, label=f"{value:.3g}" if isinstance(value, float) else f"{value:,}")
    _log_axes(ax, x, y)
    ax.legend(title=LABELS.get(by, by))


def exponents(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the exponent a of several sets of runs with its intervals, and beside it what was published.

    Parameters
    ----------
    ax : Axes
    table : DataFrame
        As `gallery.table` returns it: ``set``, ``approach``, ``a``, ``a_low``, ``a_high``, ``published_a``. The sets
        stand in the order of the table, the first on top.
    """
    sets = list(dict.fromkeys(table["set"]))
    for k, (approach, rows) in enumerate(table.groupby("approach", sort=True)):
        y = np.array([sets.index(name) for name in rows["set"]]) + 0.3 * k - 0.15
        off = np.abs(rows[["a_low", "a_high"]].to_numpy().T - rows["a"].to_numpy())
        color = f"C{int(str(approach)) - 1}"  # as in the other figures of chapter 11
        look: dict[str, Any] = {"color": color, "fmt": "os^"[k % 3], "markersize": 4, "capsize": 2}
        ax.errorbar(rows["a"], y, xerr=off, label=f"approach {approach}, 95%", **look)
        label = "published, same approach" if k == 0 else None
        ax.plot(rows["published_a"], y, "D", color="0.3", fillstyle="none", markersize=6, label=label)
    ax.axvline(0.5, color="0.6", linewidth=1, zorder=0)
    ax.set_yticks(range(len(sets)), sets)
    ax.set(xlabel="exponent a of the best size, N ∝ C^a", ylim=(len(sets) - 0.5, -0.5))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


def valleys(
    ax: Axes, found: Fit | Frontier, *, C: ArrayLike, N: ArrayLike, L: ArrayLike, budgets: ArrayLike | None = None,
    xlabel: str = "N",
) -> None:  # fmt: skip
    """Draw isoFLOP curves: loss against size on each budget, what is fitted to them, and its minimum (a diamond).

    A budget that `approach2` refused has a dotted curve and no diamond. Marks and shades tell budgets apart, the
    smallest darkest; `shades` gives a further panel the same.

    Parameters
    ----------
    ax : Axes
    found : Fit or Frontier
        A frontier of `approach2`, whose polynomials are drawn; one of `approach1`, where lines join the best runs of
        each size; or the fit of a law in N and D, cut at each budget by C = 6 N D.
    C, N, L : array_like [n]
        The runs: training compute in FLOPs, parameters, and loss in nats per token. A run is drawn with the budget that
        is nearest in ln C.
    budgets : array_like [m], optional
        Where a fit is cut, in FLOPs; a frontier has its own.
    xlabel : str
        A column of the run table, such as ``"n_params_nonemb"``, or any other text.

    Raises
    ------
    ValueError
        If a fit comes without budgets, a frontier with them, or a law is not one of N and D.
    """
    if isinstance(found, Fit) and (budgets is None or {*found.law.variables} != {"N", "D"}):
        raise ValueError(f"a fit of {found.law.name} is cut at budgets=, and has to be of a law of N and D")
    if isinstance(found, Frontier) and budgets is not None:
        raise ValueError(f"{found.source} has budgets of its own; leave budgets= out")
    of_budget = {budget.C: budget for budget in found.budgets} if isinstance(found, Frontier) else {}
    at = np.array(sorted(of_budget)) if budgets is None else np.sort(np.asarray(budgets, float))
    C, N, L = (np.asarray(column, float) for column in (C, N, L))
    nearest = np.abs(np.log(C[:, None] / at)).argmin(axis=1)
    for k, (level, shade) in enumerate(zip(at, shades(at.size), strict=True)):
        sizes, losses = N[nearest == k], L[nearest == k]
        look: dict[str, Any] = {"color": shade, "markersize": 4}
        ax.plot(sizes, losses, MARKS[k % len(MARKS)], label=number(level, "{:.2g}"), **look)
        if not sizes.size:
            continue  # no run is near this budget
        x, curve, best, least, solid = _slice(found, of_budget.get(level), level, sizes, losses)
        ax.plot(x, curve, "-" if solid else ":", color=shade, linewidth=1.2)
        ax.plot(best, least, "D", color=shade, markeredgecolor="black", zorder=3)
    ax.set(xscale="log", xlabel=LABELS.get(xlabel, xlabel), ylabel="loss (nats per token)")
    ax.legend(title="C (FLOPs)", fontsize=8, title_fontsize=9, ncols=2 if at.size > 4 else 1)


def ticks(ax: Axes, *, x: Places | None = None, y: Places | None = None) -> None:
    """Mark places on logarithmic axes, in plain numbers, and leave out the small ticks of both.

    ``x`` and ``y`` are where the ticks of an axis go, or what is written there by where it goes. Numbers that span less
    than a decade are written with equally many digits after the point.
    """
    for axis, places in ((ax.xaxis, x), (ax.yaxis, y)):
        if places is not None:
            labels = map(str, places.values()) if isinstance(places, Mapping) else _numbers(places)
            axis.set_ticks(list(places), list(labels))
    ax.minorticks_off()


def _numbers(places: Sequence[float]) -> list[str]:
    """Numbers in words of a tick; those of one decade with the same digits after the point."""
    short = [f"{place:,.10g}" for place in places]
    digits = max(len(text.partition(".")[2]) for text in short)
    return [f"{place:,.{digits}f}" for place in places] if max(places) < 10 * min(places) else short


def _slice(
    found: Fit | Frontier, budget: Budget | None, level: float, N: NDArray[np.float64], L: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float, bool]:
    """Sizes and losses of the curve of one budget, its minimum, and whether that is one."""
    x = np.geomspace(N.min(), N.max(), 40)
    if isinstance(found, Fit):
        try:
            best = float(found.allocate(level)[0])
        except ValueError:  # not determined by the runs
            best = np.nan
        inside = x[0] <= best <= x[-1]
        values = found.predict(N=np.append(x, best), D=tokens_6nd(level, np.append(x, best)))
        return x, values[:-1], best if inside else np.nan, float(values[-1]), True
    assert budget is not None  # a frontier has one for each of its levels
    if not budget.coefficients:
        x = np.unique(N)
        return x, np.array([L[size == N].min() for size in x]), budget.N_opt, budget.L_opt, True
    from_middle = np.log(x) - (np.log(N.min()) + np.log(N.max())) / 2
    return x, np.polyval(budget.coefficients, from_middle), budget.N_opt, budget.L_opt, budget.refused is None


def _frontier(ax: Axes, found: Frontier) -> None:
    """Best sizes against compute, with what was tried, the power law and its interval."""
    C, reach = found.C, np.geomspace(found.C.min(), 10 * found.C.max(), 100)
    law = rf"$N \propto C^{{{found.a:.3g}}}$"
    if found.points is not None:
        ax.plot(found.points["C"], found.points["N"], ".", color="0.7", markersize=4, label="runs")
    with suppress(ValueError):  # nothing to resample
        cloud = found.bootstrap(n=399, seed=0)
        low, high = cloud.interval(lambda resampled: resampled.optimum(reach)[0])
        ax.fill_between(reach, low, high, color="C1", alpha=0.2, linewidth=0, label="95% interval")
        law += ", {:.3g} to {:.3g}".format(*cloud.interval("a"))
    ax.plot(reach, found.optimum(reach)[0], "--", color="C1", linewidth=1)
    ax.plot(C, found.optimum(C)[0], color="C1", label=law)
    errors = np.array([budget.N_error for budget in found.budgets if budget.refused is None])
    if np.isfinite(errors).all():
        off = found.N * np.abs(np.exp(np.outer([-1, 1], errors)) - 1)
        ax.errorbar(C, found.N, yerr=off, fmt="none", ecolor="C0", capsize=2)
    ax.plot(C, found.N, "o", color="C0", label=f"optima of {found.source}")
    _log_axes(ax, "C", "compute-optimal parameters N")
    ax.legend()


def _map(ax: Axes, fit: Fit) -> None:
    """Equal losses in the plane of a law's two variables, the runs, and the compute-optimal line if it has one."""
    (up, rows), (along, columns) = fit.x.items()
    y, x = (np.geomspace(values.min() / 1.5, values.max() * 1.5, 100) for values in (rows, columns))
    levels = np.geomspace(fit.L.min(), fit.L.max(), 10)
    look: dict[str, Any] = {"norm": LogNorm(levels[0], levels[-1]), "cmap": ListedColormap(shades(256)[::-1])}
    ax.set(xscale="log", yscale="log", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))  # first, since labels go by the slopes
    lines = ax.contour(x, y, fit.law.value(fit.theta, y[:, None], x), levels, linewidths=1, **look)
    drawn = [np.column_stack([columns, rows])[:: len(rows) // 1000 + 1]]  # enough of them to keep labels clear
    with suppress(ValueError):  # a law without an optimum, or a fit that does not determine it
        best, data = fit.allocate(np.geomspace(y[0] * x[0], y[-1] * x[-1], 200), k=1.0)
        ax.plot(data, best, color="black", linestyle="--", label="compute-optimal")
        drawn.append(np.column_stack([data, best]))
    places = _clear(ax, lines.allsegs[1:-1], ax.transData.transform(np.concatenate(drawn)))
    ax.clabel(lines, list(lines.levels)[1:-1], fmt="%.3g", fontsize="small", manual=places)
    look |= {"s": 30, "edgecolors": "0.3", "linewidths": 0.7, "zorder": 3}
    ax.scatter(columns, rows, c=fit.L, label="runs, loss by color (nats per token)", **look)
    ax.set(xlabel=LABELS[along], ylabel=LABELS[up])
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _clear(ax: Axes, curves: Sequence[Sequence[NDArray[np.float64]]], taken: NDArray[np.float64]) -> list[Any]:
    """Of each curve the place well inside the axes that is farthest, in pixels, from those taken before."""
    margin, places = 0.3 * ax.figure.dpi, []
    low, high = np.array(ax.bbox.min) + margin, np.array(ax.bbox.max) - margin
    for curve in (parts[0] for parts in curves if len(parts)):
        corners = ax.transData.transform(curve)
        steps = np.linspace(0, 1, 9)[:, None, None]
        way = (corners[:-1] + steps * np.diff(corners, axis=0)).reshape(-1, 2)
        way = way[((way > low) & (way < high)).all(1)]
        if len(way):
            far = np.linalg.norm(way[:, None] - taken, axis=-1).min(1)
            taken = np.vstack([taken, way[far.argmax()]])
            places.append(tuple(ax.transData.inverted().transform(taken[-1])))
    return places


def _formula(fit: Fit, symbol: str) -> str:
    """The fitted law with its numbers, for a legend; its name if it is no power."""
    if not isinstance(fit.law, PowerSum):
        return fit.law.name
    floor = f"{fit.theta['E']:.4g} + " if fit.law.has_floor else ""
    return rf"${floor}{fit.theta['A']:.3g}\,{symbol}^{{-{fit.theta['alpha']:.3g}}}$"


def _log_axes(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Logarithmic axes with labels; a loss that spans less than a decade gets plain numbers."""
    ax.set(xscale="log", yscale="log", xlabel=LABELS.get(xlabel, xlabel), ylabel=LABELS.get(ylabel, ylabel))
    low, high = ax.get_ylim()
    if high < 10 * low:
        ax.yaxis.set_major_locator(MaxNLocator(6))
        ax.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))  # as many digits at every tick
        ax.yaxis.set_minor_formatter(NullFormatter())
