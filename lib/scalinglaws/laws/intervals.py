"""Refits whose intervals hold with few points too, or a refusal.

The percentile interval of resampled points is a little too narrow with less than some forty of them: there it is
widened from Gaussian to Student's quantiles, for the points or clusters beyond one for each parameter. With fewer than
some twenty, resamples of points are nearly singular: residuals are drawn instead, of noise whose size may follow the
loss, or that follows the weights where points have them. With less than three points beyond one for each parameter no
interval was found to hold, and none is given. The book's page on calibration has the shares that held.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from scalinglaws.laws.bootstrap import Bootstrap, bootstrap, repeats
from scalinglaws.laws.fit import Fit, FitError

__all__ = ["FEW", "LEAST_SPARE", "refits"]

FEW = 20  # points, or clusters of them, from which they are resampled themselves
MANY = 40  # points, or clusters, from which their percentile interval holds as it is
LEAST_SPARE = 3  # points beyond one for each parameter, for an interval


def refits(
    found: Fit, *, n: int = 999, seed: int = 0, level: float = 0.95, clusters: ArrayLike | str | None = None
) -> Bootstrap:
    """Return refits whose percentile intervals are meant to hold as often as they say, whatever the number of points.

    >>> from scalinglaws.laws import power
    >>> from scalinglaws.laws.fit import fit
    >>> x = np.geomspace(1, 256, 9)
    >>> cloud = refits(fit(power, x=x, L=8 / x * np.tile([1.01, 0.99, 1.0], 3)), n=99)
    >>> cloud.how, round(cloud.widened, 2)
    ('sized', 1.21)

    Parameters
    ----------
    found : Fit
        With a status that `Fit.checked` accepts, and no parameter at a bound.
    n, seed : int
        See `bootstrap`.
    level : float
        Of the intervals that are wanted, where points are few.
    clusters : array_like [n_points] or "cells", optional
        See `bootstrap`. Left out, cells where points are repeated, and else points.

    Raises
    ------
    FitError
        If a parameter is at a bound, or there are too few points.
    """
    found.checked()
    if found.at_bound:
        raise FitError(
            f"{', '.join(found.at_bound)} at a bound: an interval would be too narrow; pin what you know, such as "
            "fix={'E': 0}, or choose another law"
        )
    spare = found.n_points - found.n_free
    if spare < LEAST_SPARE:
        raise FitError(
            f"{found.n_points} points for {found.n_free} parameters: no interval was found to hold with fewer than "
            f"{found.n_free + LEAST_SPARE}; add runs, or pin a parameter"
        )
    labels = repeats(found.x) if clusters is None or isinstance(clusters, str) else clusters
    drawn = found.n_points if labels is None else len({*np.asarray(labels, object).tolist()})
    if drawn < FEW and (clusters is None or isinstance(clusters, str)):
        cloud = bootstrap(found, n=n, seed=seed, how="sized" if found.problem.weights is None else "residuals")
    else:
        cloud, spare = bootstrap(found, n=n, seed=seed, clusters=labels), drawn - found.n_free
    if drawn >= MANY:
        return cloud
    return replace(cloud, widened=float(stdtrit(max(spare, 1), (1 + level) / 2) / ndtri((1 + level) / 2)))
