import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglaws.laws import (
    LAWS,
    PowerSum,
    Term,
    chinchilla,
    kaplan_amplitude,
    kaplan_scale,
    power,
    power_floor,
)

# Besiroglu et al. 2024 refit of Hoffmann et al. 2022, and the constants in Hoffmann's TeX source.
REFIT = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
TEX = {"E": np.exp(0.5267228), "A": np.exp(6.0073404), "B": np.exp(6.0179186), "alpha": 0.33917084, "beta": 0.2849083}
ROUNDED = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}

exponents = st.floats(0.03, 1.5)
scales = st.floats(1e-3, 1e5)
thetas = st.fixed_dictionaries({"E": st.floats(0, 5), "A": scales, "B": scales, "alpha": exponents, "beta": exponents})
sizes = st.floats(1e4, 1e13)
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def example(law: PowerSum) -> tuple[np.ndarray, list[np.ndarray]]:
    """Two sets of parameters and seven points for any law here."""
    rng = np.random.default_rng(0)
    values = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
    theta = np.array([values[name] for name in law.parameters]) * rng.uniform(0.9, 1.1, (2, len(law.parameters)))
    return theta, [10 ** rng.uniform(6, 11, 7) for _ in law.variables]


def test_values_are_the_published_formulas():
    N, D, x = np.array([1e7, 1e9]), np.array([2e8, 3e10]), np.array([1e3, 1e6])
    E, A, B, alpha, beta = REFIT.values()
    assert chinchilla.value(REFIT, N, D) == pytest.approx(E + A / N**alpha + B / D**beta, rel=1e-14)
    assert power.value([480.0, 0.35], x) == pytest.approx(480 / x**0.35, rel=1e-14)
    assert power_floor.value([1.8, 480.0, 0.35], x) == pytest.approx(1.8 + 480 / x**0.35, rel=1e-14)


@every_law
def test_gradient_is_the_slope_of_the_value(law):
    theta, x = example(law)
    for j in range(len(law.parameters)):
        # A central difference errs by h² f'''/6 + eps f/h, least at h ~ eps^(1/3) of the parameter: about 1e-10.
        h = np.zeros_like(theta)
        h[:, j] = theta[:, j] * np.finfo(float).eps ** (1 / 3)
        slope = (law.value(theta + h, *x) - law.value(theta - h, *x)) / (2 * h[:, j, None])
        assert law.gradient(theta, *x)[..., j] == pytest.approx(slope, rel=1e-8)


@every_law
def test_bend_is_the_slope_of_the_first_derivatives(law):
    theta, x = example(law)
    u, logs = law.coordinates(theta), np.log(x)
    weights = np.random.default_rng(1).normal(size=(2, 7))
    bent = law.jet(u, logs)[2](weights)
    for j in range(len(law.parameters)):
        h = np.zeros_like(u)
        h[:, j] = np.finfo(float).eps ** (1 / 3)
        slope = (law.jet(u + h, logs)[1] - law.jet(u - h, logs)[1]) / (2 * h[0, j])  # [R, p, n]
        assert bent[:, j] == pytest.approx((slope * weights[:, None]).sum(axis=-1), rel=1e-6, abs=1e-7)


def test_two_terms_may_share_an_exponent():
    """Muennighoff et al. 2023 fit alpha = beta."""
    shared = PowerSum(name="s", source="", terms=(Term("E"), Term("A", "N", "alpha"), Term("B", "D", "alpha")))
    theta, N, D = np.array([1.87, 521.0, 1488.0, 0.3527]), np.array([1e8, 1e9]), np.array([1e10, 1e9])
    separate = dict(zip(chinchilla.parameters, [*theta, theta[-1]], strict=True))
    assert shared.value(theta, N, D) == pytest.approx(chinchilla.value(separate, N, D), rel=1e-14)
    both = chinchilla.gradient(separate, N, D)
    assert shared.gradient(theta, N, D)[:, 3] == pytest.approx(both[:, 3] + both[:, 4], rel=1e-14)
    u, weights = shared.coordinates(theta)[None], np.ones((1, 2))
    whole = chinchilla.jet(chinchilla.coordinates(separate)[None], np.log([N, D]))[2](weights)[0]
    assert shared.jet(u, np.log([N, D]))[2](weights)[0, 3, 3] == pytest.approx(whole[3, 3] + whole[4, 4], rel=1e-14)


@every_law
def test_shapes_are_batch_then_variables(law):
    theta, x = example(law)
    p = len(law.parameters)
    assert law.value(theta, *x).shape == (2, 7)
    assert law.value(theta[0], *x).shape == (7,)
    assert law.gradient(theta, *x).shape == (2, 7, p)
    assert law.value(theta[0], *(column[0] for column in x)).shape == ()
    assert law.value(theta.reshape(2, 1, p), *x).shape == (2, 1, 7)


def test_variables_broadcast():
    grid = chinchilla.value(REFIT, np.geomspace(1e6, 1e9, 4)[:, None], np.geomspace(1e8, 1e10, 3))
    assert grid.shape == (4, 3)
    assert grid[1, 2] == chinchilla.value(REFIT, 1e7, 1e10)


def test_a_mapping_of_arrays_is_a_batch():
    batch = {name: np.array([value, 1.1 * value]) for name, value in REFIT.items()}
    assert chinchilla.value(batch, 1e9, 1e10)[0] == chinchilla.value(REFIT, 1e9, 1e10)


@every_law
def test_coordinates_come_back(law):
    theta, _ = example(law)
    assert law.theta(law.coordinates(theta)) == pytest.approx(theta, rel=1e-14)


def test_coordinates_hold_a_floor_of_zero():
    u = power_floor.coordinates([0.0, 480.0, 0.35])
    assert u[0] == 0
    assert u[1] == np.log(480)
    assert power_floor.theta(u)[0] == 0


@given(theta=thetas, N=sizes, D=sizes, unit=st.floats(1e-9, 1e9), loss_unit=st.floats(0.1, 10))
def test_rescaled_coordinates_are_the_same_law_in_other_units(theta, N, D, unit, loss_unit):
    units = {"N": unit, "D": 1 / unit, "L": loss_unit}
    scaled = chinchilla.theta(chinchilla.rescale(chinchilla.coordinates(theta), units))
    # exp of a difference of logarithms up to about 50 loses 50 eps, a few times over
    same = pytest.approx(chinchilla.value(theta, N, D), rel=1e-12)
    assert loss_unit * chinchilla.value(scaled, N / unit, D * unit) == same


@given(theta=thetas, N=sizes, D=sizes, more=st.floats(1.01, 1e3))
def test_more_of_anything_never_raises_the_loss(theta, N, D, more):
    here = chinchilla.value(theta, N, D)
    assert chinchilla.value(theta, more * N, D) <= here
    assert chinchilla.value(theta, N, more * D) <= here
    assert here >= theta["E"]


@given(theta=thetas, C=st.floats(1e15, 1e26), k=st.sampled_from([2.0, 6.0, 6.8]))
def test_optimum_spends_the_budget_and_is_stationary(theta, C, k):
    N, D = chinchilla.optimum(theta, C, k=k)
    assert k * N * D == pytest.approx(C, rel=1e-12)
    # At the optimum the two terms weigh alike: alpha A N^-alpha = beta B D^-beta. N and D come out of exp with an
    # error of some 100 eps, which the exponents shrink.
    falls_with_N = theta["alpha"] * theta["A"] * N ** -theta["alpha"]
    falls_with_D = theta["beta"] * theta["B"] * D ** -theta["beta"]
    assert falls_with_N == pytest.approx(falls_with_D, rel=1e-11)


def test_optimum_is_the_least_loss_on_the_budget():
    N, D = chinchilla.optimum(REFIT, 1e22)
    others = N * np.geomspace(0.5, 2, 201)
    losses = chinchilla.value(REFIT, others, 1e22 / 6 / others)
    assert losses.argmin() == 100
    assert chinchilla.value(REFIT, N, D) == pytest.approx(losses.min(), rel=1e-14)


@given(theta=thetas)
def test_optimum_exponents_are_the_slopes_of_the_optimum(theta):
    a, b = chinchilla.optimum_exponents(theta)
    assert a + b == pytest.approx(1, abs=1e-15)
    N, D = chinchilla.optimum(theta, np.array([1e20, 1e24]))
    assert np.log(N[1] / N[0]) / np.log(1e4) == pytest.approx(a, abs=1e-12)
    assert np.log(D[1] / D[0]) / np.log(1e4) == pytest.approx(b, abs=1e-12)


@pytest.mark.parametrize(
    ("theta", "N", "D"),
    [(TEX, 40.4e9, 2.38e12), (ROUNDED, 32.2e9, 2.98e12), (REFIT, 72.2e9, 1.33e12)],
    ids=["TeX", "rounded", "refit"],
)
def test_optimum_at_gophers_budget(theta, N, D):
    """The 40 billion of Hoffmann et al. 2022, figure 4, need the constants of the TeX source."""
    assert chinchilla.optimum(theta, 5.76e23) == pytest.approx((N, D), rel=5e-3)  # three digits are quoted


def test_optimum_of_a_batch():
    batch = np.stack([chinchilla.array(TEX), chinchilla.array(REFIT)])
    N, D = chinchilla.optimum(batch, [1e20, 1e22, 1e24])
    assert N.shape == D.shape == (2, 3)
    assert N[1, 2] == pytest.approx(chinchilla.optimum(REFIT, 1e24)[0], rel=1e-14)


def test_kaplans_form_is_a_power_law():
    """Kaplan et al. 2020, eq. 1.1: (8.8e13 / N)^0.076, which is 2.865 nats at the 85M parameters of GPT-2 small."""
    A = kaplan_amplitude(8.8e13, 0.076)
    assert power.value([A, 0.076], 85e6) == pytest.approx(2.865, abs=5e-4)
    assert kaplan_scale(A, 0.076) == pytest.approx(8.8e13, rel=1e-12)
    assert power.value([A, 0.076], 8.8e13) == pytest.approx(1, rel=1e-12)


@every_law
def test_a_law_says_what_it_is(law):
    assert LAWS[law.name] is law
    assert "et al." in law.source
    assert all(letter in law.latex for letter in law.variables)


def test_latex():
    assert chinchilla.latex == r"L(N, D) = E + \frac{A}{N^{\alpha}} + \frac{B}{D^{\beta}}"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chinchilla.value(REFIT, 1e9), "law of N, D; got 1"),
        (lambda: chinchilla.value({"E": 1.8, "A": 480.0}, 1e9, 1e9), "missing: B, alpha, beta"),
        (lambda: chinchilla.value([1.8, 480.0], 1e9, 1e9), r"5 parameters last; got shape \(2,\)"),
        (lambda: power_floor.optimum([1.8, 480.0, 0.3], 1e20), "not one power of N and one of D"),
    ],
)
def test_misuse_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@settings(max_examples=25)
@given(theta=thetas, noise=st.floats(0, 0.05), seed=st.integers(0, 9))
def test_starts_are_finite_and_inside_the_bounds(theta, noise, seed):
    N, D = np.meshgrid(np.geomspace(1e5, 1e8, 5), np.geomspace(1e7, 1e10, 5))
    L = chinchilla.value(theta, N, D).ravel() * np.exp(noise * np.random.default_rng(seed).normal(size=N.size))
    logs = np.log(np.stack([N.ravel(), D.ravel()]))
    u = chinchilla.starts(logs - logs.mean(axis=1, keepdims=True), L / np.exp(np.log(L).mean()))
    low, high = chinchilla.bounds
    assert np.isfinite(u).all()
    assert ((u >= low) & (u <= high)).all()
