"""Views to turn and look at: alive on a page without a kernel, and ipywidgets in JupyterLab.

Each view is one class and one module in ``js/``, which draws and computes (closed forms only, held to Python by tests).
Python ships parameters and measured points as traits; on a page the same module runs beside a small stand-in for the
model, and keeps its state in the address.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape
from typing import Any, ClassVar

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets
from numpy.typing import ArrayLike

from scalinglaws import published
from scalinglaws.files import PACKAGE, dumps, plain
from scalinglaws.laws import plan
from scalinglaws.tables.units import NATS, scale_words
from scalinglaws.tables.vocabulary import vocabulary

__all__ = [
    "BatchTradeoff", "Coupled", "Exact", "Inference", "Lines", "Memory", "Parabola", "Plane", "Planner", "PowerLaw",
    "Repeats", "Replay", "Schedule", "Study", "Valleys", "View", "Window", "YourRuns", "trainable",
]  # fmt: skip

JS = PACKAGE / "book" / "js"
LAWS: Mapping[str, str] = {  # names of `plan.named`, as the views show them
    "hoffmann2022": "Hoffmann et al., unrounded",
    "hoffmann2022-rounded": "Hoffmann et al., as printed",
    "besiroglu2024": "Besiroglu et al.",
}
# What reads and fits a table on the page, in order; the same text is the page's module and its worker's.
ENGINE = ("numbers", "laws", "fit", "doubts", "draws", "valleys", "record", "words", "read", "worker")


@cache
def module(name: str) -> str:
    """The ES module of a view: what all share, then its own part."""
    return (JS / "kit.js").read_text(encoding="utf-8") + "\n" + (JS / f"{name}.js").read_text(encoding="utf-8")


@cache
def engine() -> str:
    """The ES module that reads a table, fits it and resamples it; with the words by which columns are known."""
    parts = [(JS / "yours" / f"{name}.js").read_text(encoding="utf-8") for name in ENGINE]
    return "\n".join([f"const WORDS = {dumps(vocabulary(), sort_keys=True)};", *parts])


class View(anywidget.AnyWidget):
    """A view: its traits are what the reader turns, and ``data`` what it is drawn from."""

    name: ClassVar[str]
    _css = (JS / "kit.css").read_text(encoding="utf-8")
    data = traitlets.Dict().tag(sync=True)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "name" in vars(cls):  # traitlets makes nameless subclasses when it adds traits
            cls._esm = module(cls.name)

    @property
    def state(self) -> dict[str, Any]:
        """What the module sees: ``data`` and the traits that can be turned."""
        known = anywidget.AnyWidget.class_trait_names()
        return {name: getattr(self, name) for name in self.traits(sync=True) if name not in known and name[0] != "_"}

    def html(self) -> str:
        """The view for a page without a kernel."""
        place = f"view-{uuid.uuid5(uuid.NAMESPACE_OID, self.name + _json(self.state))}"  # the same bytes in every build
        return (
            f'<style>{self._css}</style><div id="{place}" class="view-place">'
            "<noscript>This view needs JavaScript.</noscript></div>"
            f'<script type="module">{self._esm.replace("export default { render };", "")}'
            f'render({{ model: standIn({_json(self.state)}), el: document.getElementById("{place}") }});</script>'
        )

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        found, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return found | {"text/html": self.html(), "text/plain": f"{type(self).__name__} (a view to turn)"}, metadata


def _json(state: Mapping[str, Any]) -> str:
    """JSON that may stand inside of a script; null for what is not finite."""
    return dumps(state, sort_keys=True).replace("<", "\\u003c")


def _turned(*starts: Any) -> list[Any]:
    """Traits that a reader turns, by the texts and numbers they start with."""
    kinds = {str: traitlets.Unicode, float: traitlets.Float}
    return [kinds[type(start)](start).tag(sync=True) for start in starts]


class PowerLaw(View):
    """A power law with a floor, L = E + A x^-alpha, over measured points.

    Parameters
    ----------
    points : sequence of (x, loss)
        What to draw beside the law; loss in nats per token.
    E, A, alpha, x : float
        Where the view starts; ``x`` is the point that is looked at.
    label : str
        Name of the axis of x.
    """

    name = "power"
    E, A, alpha, x = _turned(1.7, 10.0, 0.3, 1e5)

    def __init__(self, points: Sequence[tuple[float, float]] = (), *, label: str = "x", **start: float):
        sizes = [x for x, _ in points] or [1e3, 1e9]
        data = {"points": plain(list(points)), "low": min(sizes) / 2, "high": max(sizes) * 20, "x": label}
        super().__init__(data=plain(data), **({"x": float(np.sqrt(min(sizes) * max(sizes)))} | start))


class _OfLaws(View):
    """A view of the published laws and of more, ``laws``: each {label, E, A, B, alpha, beta} by its name."""

    law, C = _turned("besiroglu2024", 1e21)

    def __init__(self, laws: Mapping[str, Mapping[str, Any]] | None = None, **start):
        known = {name: {"label": label} | plan.named(name)[1] for name, label in LAWS.items()}
        super().__init__(data={"laws": plain(known | {name: dict(law) for name, law in (laws or {}).items()})}, **start)


class Plane(_OfLaws):
    """The plane of N and D: lines of equal loss, one of equal compute, and its best point (Hoffmann et al. 2022)."""

    name = "plane"
    ratio, C = _turned(2.0, 5.76e23)


class BatchTradeoff(View):
    """Steps and tokens to a target loss against batch: (S/S_min - 1)(T/T_min - 1) = 1 (McCandlish et al. 2018).

    Parameters
    ----------
    fits : mapping of (label, S_min, T_min)
        Fewest steps and fewest tokens to each target, by a name of yours.
    measured : mapping of array_like [n, 2], optional
        By the same names, batches in tokens and the steps that runs with them took to the target.
    low, high : float
        Range of batches, in tokens per step.
    """

    name = "batch"
    fit, B = _turned("", 1024.0)

    def __init__(
        self,
        fits: Mapping[str, tuple[str, float, float]],
        *,
        measured: Mapping[str, ArrayLike] | None = None,
        low: float = 128,
        high: float = 16_384,
        **start,
    ):
        named: dict[str, dict] = {
            name: {"label": label, "S_min": S, "T_min": T} for name, (label, S, T) in fits.items()
        }
        for name, runs in (measured or {}).items():
            named[name]["runs"] = np.asarray(runs, float).tolist()
        data = plain({"fits": named, "low": float(low), "high": float(high)})
        super().__init__(data=data, **({"fit": next(iter(named))} | start))


class Valleys(View):
    """Loss against learning rate by width, under both parametrizations, from a run table as of the lr_width sweep.

    Parameters
    ----------
    table : DataFrame
        With columns ``parametrization``, ``d_model``, ``lr`` and ``loss``; seeds are averaged.
    """

    name = "valleys"
    parametrization, octave = _turned("standard", -7.0)

    def __init__(self, table: pd.DataFrame, **start):
        mean = table.groupby(["parametrization", "d_model", "lr"])["loss"].mean()
        data: dict[str, dict[str, list]] = {"standard": {}, "mup": {}}
        for key, loss in mean.items():
            rules, width, lr = key if isinstance(key, tuple) else (key,) * 3
            data[str(rules)].setdefault(str(width), []).append([lr, loss])
        super().__init__(data=plain(data), **start)


class Parabola(View):
    """Approach 2 on a surface of the reader's choice: a parabola through one budget, its vertex beside the optimum.

    No noise: what is left is the bias of the method (published rows A01 to A03).
    """

    name = "parabola"
    alpha, beta, halfwidth, offset = _turned(0.34, 0.28, 10.0, 1.0)

    def __init__(self, *, E: float = 1.7, C: float = 1e21, reference: float = 2e9, n: int = 9, **start: float):
        super().__init__(data={"E": E, "C": C, "reference": reference, "n": n}, **start)


class Inference(_OfLaws):
    """The cheapest model of a given loss when it will serve tokens too (Sardana et al. 2024)."""

    name = "inference"
    C, served = _turned(5.76e23, 1e12)


class Repeats(View):
    """What repeated tokens are worth in new ones (Muennighoff et al. 2023, eq. 5)."""

    name = "repeats"
    U, epochs, R_star = _turned(1e9, 4.0, 15.4)


class Memory(View):
    """What has to be carried through a window, beside an LSTM's state and a transformer's keys and values.

    Each number is taken to hold one count (of a chain of V symbols: which follows which) or one symbol of an order.
    """

    name = "memory"
    task, V, N = _turned("counts", 16.0, 24_576.0)


class Planner(_OfLaws):
    """Size, data, loss and time for a budget and an expected use under several laws.

    Parameters
    ----------
    laws : mapping, optional
        More laws, each {label, E, A, B, alpha, beta}, such as one fitted to runs of your own.
    """

    name = "planner"
    served, speed = _turned(1e9, 4e14)


class Replay(View):
    """Stored runs replayed: the learning curve of one, and where it ends among all.

    Parameters
    ----------
    table, curves : DataFrame
        As of `runs.stored` and `runs.stored_curves`; runs without a curve are left out.
    label : callable
        Words for a row of the table.
    points : int
        Of a curve, at most.
    """

    name = "replay"
    run, share = _turned("", 1.0)

    def __init__(
        self, table: pd.DataFrame, curves: pd.DataFrame, label: Callable[[Any], str], *, points: int = 40, **start
    ):
        by_hash = dict(list(curves[curves["kind"] == "train"].groupby("hash")))
        found = {}
        for row in table.to_dict("records"):
            if row["hash"] not in by_hash:
                continue
            curve = by_hash[row["hash"]][["tokens", "loss"]].to_numpy()
            some = curve[np.unique(np.geomspace(1, len(curve), points).round().astype(int)) - 1]
            rounded = [[int(tokens), round(loss, 4)] for tokens, loss in some]
            ends = {name: row[name] for name in ("tokens", "flops", "loss")}
            found[row["hash"]] = {"label": label(row), "curve": rounded} | ends
        super().__init__(data={"runs": plain(found)}, **({"run": next(iter(found))} | start))


class Coupled(View):
    """Size and data in one bracket, from the larger shortage to the sum, over runs and what is held back of them.

    Parameters
    ----------
    runs : mapping of (label, points, fits)
        By a name of yours: a frame with columns N, D and L, one row a cell; and for each cut, 1, 4 and 16, the
        ``theta`` of fits of `laws.coupled` with k pinned, to the rows with at most the largest N D over the cut.
    """

    name = "coupled"
    runs, cut, k = _turned("", 16.0, 1.0)

    def __init__(
        self,
        runs: Mapping[str, tuple[str, pd.DataFrame, Mapping[int, Sequence[Mapping[str, float]]]]],
        **start: Any,
    ):
        def short(value: float) -> float:
            return float(f"{value:.6g}")

        data = {
            name: {
                "label": label,
                "points": [[short(value) for value in row] for row in points[["N", "D", "L"]].to_numpy()],
                "fits": {cut: [{k: short(v) for k, v in theta.items()} for theta in all] for cut, all in fits.items()},
            }
            for name, (label, points, fits) in runs.items()
        }
        super().__init__(data=plain({"runs": data}), **({"runs": next(iter(data))} | start))


class Study(View):
    """The line that a study of small models finds on a known surface, by what it counts and how long it warms up.

    A warmup of W tokens is taken as the loss of half of them: the area that a linear ramp lacks under the peak rate.

    Parameters
    ----------
    models : mapping of (C, N)
        What to mark, by name: training compute in FLOPs and parameters.
    C : float
        The budget, in FLOPs, to which the line is carried on.
    law : str
        The surface, a name of `plan.named`; the embeddings are those of Chinchilla's models (published row Q03).
    low : float
        The smallest model.
    """

    name = "study"
    counted, warmup, largest = _turned("nonemb", 3000.0 * 2**19, 1.5e9)  # of Kaplan et al.: K62, K63, K65

    def __init__(
        self,
        models: Mapping[str, tuple[float, float]],
        *,
        C: float = 5.76e23,
        law: str = "besiroglu2024",
        low: float = 1e6,
        **start: Any,
    ):
        data = {"law": plan.named(law)[1], "gamma": published.value("Q03", "gamma"), "low": low, "C": C}
        super().__init__(data=plain(data | {"models": dict(models)}), **start)


class Lines(View):
    """Two power laws of data, A's and B's: what an offset is worth, and where different slopes cross.

    Parameters
    ----------
    A, alpha : float
        Of A: its loss is A m^-alpha, in nats.
    low, high : float
        Range of m.
    label : str
        Name of the axis of m.
    gap, apart, m : float
        Where the view starts: by how many percent B is above A at ``low``, how much smaller its exponent is, and the
        amount of data that is looked at.
    """

    name = "lines"
    gap, apart, m = _turned(3.0, 0.001, 1e9)

    def __init__(
        self, A: float, alpha: float, *, low: float = 1e6, high: float = 1e12, label: str = "m (tokens)", **start: float
    ):
        data = {"A": A, "alpha": alpha, "low": low, "high": high, "x": label}
        super().__init__(data=plain(data), **start)


class Window(View):
    """A window of a chain, symbol by symbol: what counts, frequencies and trained models expect next.

    Parameters
    ----------
    windows : mapping of (label, symbols, predictions)
        By a name of yours: the symbols [T + 1], and for each model, by its label, the probabilities [T, V] that it gave
        to each symbol as the next one.
    alpha : float
        Of the source, see `lab.corpus.chains.ChainSource`.
    """

    name = "window"
    window, t = _turned("", 16.0)

    def __init__(
        self,
        windows: Mapping[str, tuple[str, Sequence[int], Mapping[str, ArrayLike]]],
        *,
        alpha: float = 0.3,
        **start: Any,
    ):
        data = {
            name: {
                "label": label,
                "symbols": [int(symbol) for symbol in symbols],
                "models": {model: np.asarray(rows, float).round(3) for model, rows in predictions.items()},
            }
            for name, (label, symbols, predictions) in windows.items()
        }
        super().__init__(data=plain({"alpha": alpha, "windows": data}), **({"window": next(iter(data))} | start))


class Exact(View):
    """Answers of k tokens, all of which have to be right, against compute: exp(-k (C/c)^-a) (Schaeffer et al. 2023).

    Parameters
    ----------
    c, a : float
        Scale in FLOPs, and power, of the loss of one token.
    measured : mapping of array_like [n, 2], optional
        By k, compute and the share of answers of k tokens that runs had right.
    low, high : float
        Range of compute, in FLOPs.
    """

    name = "exact"
    k, axis, C = _turned(8.0, "linear", 1e11)

    def __init__(
        self,
        c: float,
        a: float,
        measured: Mapping[int, ArrayLike] | None = None,
        *,
        low: float = 1e8,
        high: float = 1e14,
        **start: Any,
    ):
        shares = {str(k): np.asarray(points, float).round(4).tolist() for k, points in (measured or {}).items()}
        super().__init__(data=plain({"c": c, "a": a, "measured": shares, "low": low, "high": high}), **start)


class Schedule(View):
    """A loss curve from its learning rates, by the multi-power law (Luo et al. 2025).

    Parameters
    ----------
    theta : mapping of float
        The law's parameters, as `laws.curves.multi_power` takes them.
    steps, warmup : int
        Steps of the run and of its warm-up.
    blocks : int
        Into so many parts the run is cut, and the rate is constant in each; ``warmup`` is a whole number of them.
    kind, share, final, peak
        Where the view starts: "wsd", "cosine" or "constant", over which share of the run "wsd" falls, the last rate
        as a share of the peak, and the peak.
    """

    name = "schedule"
    kind, share, final, peak = _turned("wsd", 0.2, 0.1, 3e-4)

    def __init__(
        self, theta: Mapping[str, float], *, steps: int = 24_000, warmup: int = 2160, blocks: int = 200, **start: Any
    ):
        data = {"theta": dict(theta), "steps": steps, "warmup": warmup * blocks // steps, "blocks": blocks}
        super().__init__(data=plain(data), **start)


class YourRuns(View):
    """A table of the reader's own runs, dropped or pasted: read, fitted and resampled by the page itself.

    Parameters
    ----------
    examples : mapping of (label, text)
        Tables to begin with, by a name of yours, each with what stands on its button.
    """

    name = "yours"
    _css = View._css + (JS / "yours" / "yours.css").read_text(encoding="utf-8")
    law, delta, C = _turned("chinchilla", "noise", 0.0)  # C: 0 is ten times the largest run

    def __init__(self, examples: Mapping[str, tuple[str, str]] | None = None, **start: Any):
        shown = {name: {"label": label, "text": text} for name, (label, text) in (examples or {}).items()}
        counted = [(factor, scale_words(factor) or "as it stands") for factor in (1.0, 1e3, 1e6, 1e9, 1e12)]
        known = vocabulary()
        of_compute = [(factor, f"{prefix}FLOPs") for prefix, factor in known["prefixes"].items() if len(prefix) < 2]
        of_compute += [(known["pfDay"], "PF-days")]
        of_loss = [("nats", NATS), ("bits", "bits per token"), ("perplexity", "perplexity")]
        of_loss += [(short, known["lossUnits"][short][0]) for short in ("bpb", "bpc")]
        units = {"N": counted, "D": counted, "C": of_compute, "loss": of_loss}
        super().__init__(data=plain({"engine": engine(), "examples": shown, "units": units}), **start)


class _Trainable(ipywidgets.VBox):
    """A view over its button; on a page without a kernel, the view alone."""

    def __init__(self, view: View, button: ipywidgets.Button, said: ipywidgets.Label):
        self.view = view
        super().__init__([view, ipywidgets.HBox([button, said])])

    def _repr_mimebundle_(self, **kwargs) -> dict[str, Any]:
        return (super()._repr_mimebundle_(**kwargs) or {}) | {"text/html": self.view.html()}


def trainable(view: PowerLaw, train: Callable[[], tuple[float, float]], *, label: str = "Train it") -> _Trainable:
    """Return the view with a button, ``label`` on it, that adds to its points the (x, loss) that ``train`` returns."""
    button, said = ipywidgets.Button(description=label), ipywidgets.Label()

    def add(_: Any) -> None:
        button.disabled, said.value = True, "training ..."
        try:
            x, loss = train()
            view.data = view.data | {"points": [*view.data["points"], plain([x, loss])]}
            said.value = f"x = {x:,.4g}: loss {loss:.4f}"
        except Exception as error:  # noqa: BLE001 - shown to the reader, who has no other place to see it
            said.value = escape(str(error))
        finally:
            button.disabled = False

    button.on_click(add)
    return _Trainable(view, button, said)
