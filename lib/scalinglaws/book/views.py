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

from scalinglaws.files import PACKAGE, dumps, plain
from scalinglaws.laws import plan

__all__ = [
    "BatchTradeoff",
    "Inference",
    "Parabola",
    "Plane",
    "Planner",
    "PowerLaw",
    "Repeats",
    "Replay",
    "Valleys",
    "View",
    "trainable",
]

JS = PACKAGE / "book" / "js"
LAWS: Mapping[str, str] = {  # names of `plan.named`, as the views show them
    "hoffmann2022": "Hoffmann et al., unrounded",
    "hoffmann2022-rounded": "Hoffmann et al., as printed",
    "besiroglu2024": "Besiroglu et al.",
}


@cache
def module(name: str) -> str:
    """The ES module of a view: what all share, then its own part."""
    return (JS / "kit.js").read_text(encoding="utf-8") + "\n" + (JS / f"{name}.js").read_text(encoding="utf-8")


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
            f'<script type="module">{self._esm.replace("export default { render };", _STAND_IN)}'
            f'render({{ model: standIn({_json(self.state)}), el: document.getElementById("{place}") }});</script>'
        )

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        found, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return found | {"text/html": self.html(), "text/plain": f"{type(self).__name__} (a view to turn)"}, metadata


# In place of the model that a kernel would give: values, and who wants to hear of changes.
_STAND_IN = """
function standIn(values) {
  const heard = {};
  return {
    isStatic: true,
    get: (name) => values[name],
    set: (name, value) => { values[name] = value; (heard[`change:${name}`] ?? []).forEach((f) => f()); },
    on: (event, f) => { (heard[event] ??= []).push(f); },
    save_changes: () => {},
  };
}
"""


def _json(state: Mapping[str, Any]) -> str:
    """JSON that may stand inside of a script; null for what is not finite."""
    return dumps(state, sort_keys=True).replace("<", "\\u003c")


def _laws(extra: Mapping[str, Mapping[str, Any]] | None) -> dict[str, dict[str, Any]]:
    """Constants of the published laws and of others: {name: {label, E, A, B, alpha, beta}}."""
    known = {name: {"label": label} | plan.named(name)[1] for name, label in LAWS.items()}
    return plain(known | {name: dict(law) for name, law in (extra or {}).items()})


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
    E = traitlets.Float(1.7).tag(sync=True)
    A = traitlets.Float(10.0).tag(sync=True)
    alpha = traitlets.Float(0.3).tag(sync=True)
    x = traitlets.Float(1e5).tag(sync=True)

    def __init__(self, points: Sequence[tuple[float, float]] = (), *, label: str = "x", **start: float):
        sizes = [x for x, _ in points] or [1e3, 1e9]
        data = {"points": plain(list(points)), "low": min(sizes) / 2, "high": max(sizes) * 20, "x": label}
        super().__init__(data=plain(data), **({"x": float(np.sqrt(min(sizes) * max(sizes)))} | start))


class Plane(View):
    """The plane of N and D: lines of equal loss, one of equal compute, and its best point (Hoffmann et al. 2022)."""

    name = "plane"
    law = traitlets.Unicode("besiroglu2024").tag(sync=True)
    C = traitlets.Float(5.76e23).tag(sync=True)
    ratio = traitlets.Float(2.0).tag(sync=True)

    def __init__(self, laws: Mapping[str, Mapping[str, Any]] | None = None, **start):
        super().__init__(data={"laws": _laws(laws)}, **start)


class BatchTradeoff(View):
    """Steps and tokens to a target loss against batch: (S/S_min - 1)(T/T_min - 1) = 1 (McCandlish et al. 2018).

    Parameters
    ----------
    fits : mapping of (label, S_min, T_min)
        Fewest steps and fewest tokens to each target, by a name of yours.
    low, high : float
        Range of batches, in tokens per step.
    """

    name = "batch"
    fit = traitlets.Unicode().tag(sync=True)
    B = traitlets.Float(1024.0).tag(sync=True)

    def __init__(
        self, fits: Mapping[str, tuple[str, float, float]], *, low: float = 128, high: float = 16_384, **start
    ):
        named = {name: {"label": label, "S_min": S, "T_min": T} for name, (label, S, T) in fits.items()}
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
    parametrization = traitlets.Unicode("standard").tag(sync=True)
    octave = traitlets.Float(-7.0).tag(sync=True)

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
    alpha = traitlets.Float(0.34).tag(sync=True)
    beta = traitlets.Float(0.28).tag(sync=True)
    halfwidth = traitlets.Float(10.0).tag(sync=True)
    offset = traitlets.Float(1.0).tag(sync=True)

    def __init__(self, *, E: float = 1.7, C: float = 1e21, reference: float = 2e9, n: int = 9, **start: float):
        super().__init__(data={"E": E, "C": C, "reference": reference, "n": n}, **start)


class Inference(View):
    """The cheapest model of a given loss when it will serve tokens too (Sardana et al. 2024)."""

    name = "inference"
    law = traitlets.Unicode("besiroglu2024").tag(sync=True)
    C = traitlets.Float(5.76e23).tag(sync=True)
    served = traitlets.Float(1e12).tag(sync=True)

    def __init__(self, laws: Mapping[str, Mapping[str, Any]] | None = None, **start):
        super().__init__(data={"laws": _laws(laws)}, **start)


class Repeats(View):
    """What repeated tokens are worth in new ones (Muennighoff et al. 2023, eq. 5)."""

    name = "repeats"
    U = traitlets.Float(1e9).tag(sync=True)
    epochs = traitlets.Float(4.0).tag(sync=True)
    R_star = traitlets.Float(15.4).tag(sync=True)


class Planner(View):
    """Size, data, loss and time for a budget and an expected use under several laws.

    Parameters
    ----------
    laws : mapping, optional
        More laws, each {label, E, A, B, alpha, beta}, such as one fitted to runs of your own.
    """

    name = "planner"
    law = traitlets.Unicode("besiroglu2024").tag(sync=True)
    C = traitlets.Float(1e21).tag(sync=True)
    served = traitlets.Float(1e9).tag(sync=True)
    speed = traitlets.Float(4e14).tag(sync=True)

    def __init__(self, laws: Mapping[str, Mapping[str, Any]] | None = None, **start):
        super().__init__(data={"laws": _laws(laws)}, **start)


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
    run = traitlets.Unicode().tag(sync=True)
    share = traitlets.Float(1.0).tag(sync=True)

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
            found[row["hash"]] = {
                "label": label(row),
                "curve": rounded,
                "tokens": row["tokens"],
                "flops": row["flops"],
                "loss": row["loss"],
            }
        super().__init__(data={"runs": plain(found)}, **({"run": next(iter(found))} | start))


class _Trainable(ipywidgets.VBox):
    """A view over its button; on a page without a kernel, the view alone."""

    def __init__(self, view: View, button: ipywidgets.Button, said: ipywidgets.Label):
        self.view = view
        super().__init__([view, ipywidgets.HBox([button, said])])

    def _repr_mimebundle_(self, **kwargs) -> dict[str, Any]:
        return (super()._repr_mimebundle_(**kwargs) or {}) | {"text/html": self.view.html()}


def trainable(view: PowerLaw, train: Callable[[], tuple[float, float]], *, label: str = "Train it") -> _Trainable:
    """Return the view with a button that trains and adds the point to the picture.

    Parameters
    ----------
    view : PowerLaw
        Gets the point.
    train : callable
        Trains for some seconds and returns (x, loss).
    label : str
        On the button.
    """
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
