import inspect
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truths import GOPHER_FLOPS, REFIT, TEX, at_gophers_budget

from scalinglaws import counting, laws
from scalinglaws.laws import (
    LAWS,
    Law,
    PowerSum,
    Term,
    Written,
    broken,
    chinchilla,
    coupled,
    coupled_no_floor,
    critical_batch,
    critical_batch_time,
    gadre,
    interaction,
    kaplan_joint,
    kaplan_scale,
    kaplan_steps,
    loss_to_error,
    monomial,
    monomial_nd,
    muennighoff,
    power,
    power_floor,
    repeats_excess,
    rosenfeld,
)
from scalinglaws.laws.fit import Fit, Status, fit
from scalinglaws.laws.jet import power_of

exponents = st.floats(0.03, 1.5)
scales = st.floats(1e-3, 1e5)
thetas = st.fixed_dictionaries({"E": st.floats(0, 5), "A": scales, "B": scales, "alpha": exponents, "beta": exponents})
sizes = st.floats(1e4, 1e13)
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


SURFACE = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
SIZES = {"N": (1e6, 1e10), "D": (1e8, 1e11), "S": (1e2, 1e6), "B": (1e4, 1e8), "U": (1e8, 1e10), "x": (1e6, 1e11)}
EXAMPLES = {  # as published where there are such numbers
    "kaplan_joint": {"N_c": 6.4e13, "D_c": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103},
    "kaplan_steps": {"N_c": 6.5e13, "S_c": 2.1e3, "alpha_N": 0.077, "alpha_S": 0.76},
    "critical_batch_time": {"S_min": 5e3, "B_crit": 1e6},
    "critical_batch": {"B_star": 2.1e8, "alpha_B": 0.21},
    "rosenfeld": {**SURFACE, "eps_0": 6.0},
    "muennighoff": {**SURFACE, "R_N_star": 5.31, "R_D_star": 15.39},
    "repeats_excess": {"E": 1.8, "B": 2100.0, "c": 0.05, "beta": 0.37, "p": 0.6},
    "gadre": {"E": 1.8, "a": 175.0, "b": 295.0, "eta": 0.136},
    "loss_to_error": {"epsilon": 0.857, "k": 2.21, "gamma": 0.715},
    "coupled": {**SURFACE, "k": 0.6},
    "coupled_no_floor": {"A": 20.0, "B": 60.0, "alpha": 0.1, "beta": 0.12, "k": 0.4},
    "interaction": {**SURFACE, "c": -0.4},
    "monomial": {"A": 0.3, "p": 0.49},
    "monomial_nd": {"A": 1.79, "p": -0.713, "q": 0.307},
    "broken": {"E": 0.3, "A": 20.0, "c_0": 0.2, "d_1": 3e8, "c_1": 0.3, "f_1": 0.7},
}
X_OF = {"loss_to_error": (2.2, 6.0), "critical_batch": (2.0, 8.0)}  # x is a loss there


def example(law: Law, n: int = 7) -> tuple[np.ndarray, list[np.ndarray]]:
    """Two sets of parameters and some points for any law here."""
    rng = np.random.default_rng(0)
    values = EXAMPLES.get(law.name, SURFACE)
    theta = np.array([values[name] for name in law.parameters]) * rng.uniform(0.98, 1.02, (2, len(law.parameters)))
    ranges = {**SIZES, "x": X_OF.get(law.name, SIZES["x"])}
    return theta, [np.exp(rng.uniform(*np.log(ranges[name]), n)) for name in law.variables]


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
        error = 1e-10 * law.value(theta, *x).max() / np.abs(theta[:, j]).min()
        assert law.gradient(theta, *x)[..., j] == pytest.approx(slope, rel=1e-7, abs=error)


def test_moments_sum_what_the_derivatives_of_each_point_do():
    """`PowerSum.sums` is fast, `Law.sums` readable. Sums of 50 terms agree to a few roundings of the largest."""
    shared = PowerSum(name="s", source="", terms=(Term("A", "N", "alpha"), Term("E"), Term("B", "D", "alpha")))
    rng = np.random.default_rng(0)
    for law in (power, power_floor, chinchilla, shared):
        u, logs = rng.uniform(0.1, 1, (7, len(law.parameters))), rng.normal(size=(len(law.variables), 50))
        d, h = rng.normal(size=(2, 7, 50))
        f, total = law.sums(u, logs)
        slow_f, slow_total = Law.sums(law, u, logs)
        assert f == pytest.approx(slow_f, rel=1e-15)
        for fast, slow in zip(total(d, h), slow_total(d, h), strict=True):
            assert fast == pytest.approx(slow, rel=0, abs=1e-14 * np.abs(slow).max())


def test_the_bracket_and_the_interaction_are_those_of_the_chain_rule():
    """The formulas once more, as jets: their derivatives follow from the rules of `Jet` alone."""

    class Bracket(Written):
        kinds, variables, latex, rescale, starts = coupled.kinds, ("N", "D"), "", None, None

        def formula(self, u, logs):
            E, A, B, alpha, beta, log_k = u
            k, size, data = log_k.exp(), A - alpha * logs[0], B - beta * logs[1]
            return E + (data + k * ((size - data) / k).softplus()).exp()

    class Product(Bracket):
        kinds = interaction.kinds

        def formula(self, u, logs):
            E, A, B, alpha, beta, c = u
            a, b = power_of(A, alpha, logs[0]), power_of(B, beta, logs[1])
            return E + a + b + c * a * b

    rng = np.random.default_rng(0)
    u, logs, d = rng.uniform(-0.5, 0.5, (5, 6)), rng.normal(size=(2, 40)), rng.normal(size=(5, 40))
    for law, twin in ((coupled, Bracket), (interaction, Product)):
        f, J, bend = law.jet(u, logs)
        slow_f, slow_J, slow_bend = twin(name="", source="").jet(u, logs)
        assert f == pytest.approx(slow_f, rel=1e-13)
        assert pytest.approx(slow_J, rel=1e-11, abs=1e-13) == J
        assert bend(d) == pytest.approx(slow_bend(d), rel=0, abs=1e-12 * np.abs(slow_bend(d)).max())
    _, J, bend = coupled_no_floor.jet(u[:, 1:], logs)
    assert pytest.approx(coupled.jet(u, logs)[1][:, 1:], rel=1e-15) == J
    assert bend(d) == pytest.approx(coupled.jet(u, logs)[2](d)[:, 1:, 1:], rel=1e-12)


def test_the_bracket_is_finite_where_one_term_is_all():
    theta = {"E": 1.0, "A": 1.0, "B": 1.0, "alpha": 0.5, "beta": 0.5, "k": 0.05}
    assert coupled.value(theta, [1e-30, 1e30, 1.0], [1e30, 1e30, 1e-30]) == pytest.approx([1e15 + 1, 1, 1e15 + 1])
    u, logs = coupled.coordinates(theta)[None], np.log([[1e-30, 1e30], [1e30, 1e-30]])
    f, J, bend = coupled.jet(u, logs)
    assert np.isfinite(f).all()
    assert np.isfinite(J).all()
    assert np.isfinite(bend(np.ones_like(f))).all()


def test_products_of_powers_rise_and_fall():
    """Step Law's, as printed: lr = 1.79 N^-0.713 D^0.307."""
    N, D = np.meshgrid([6e7, 2.7e8, 1.1e9], [2e9, 1e10, 1e11])
    lr = 1.79 * N**-0.713 * D**0.307
    found = fit(monomial_nd, N=N.ravel(), D=D.ravel(), L=lr.ravel())
    assert found.status is Status.OK
    assert found.theta == pytest.approx({"A": 1.79, "p": -0.713, "q": 0.307}, rel=1e-11)
    rising = fit(monomial, x=[1e18, 1e20, 1e22], L=[1e8, 1e9, 1e10])
    assert rising.theta["p"] == pytest.approx(0.5, rel=1e-12)
    with pytest.raises(ValueError, match="no compute-optimal point"):
        rising.law.optimum(rising.theta, 1e20)


def test_optimum_with_an_interaction_may_not_exist():
    theta = EXAMPLES["interaction"] | {"c": -1e6}
    assert np.isnan(interaction.optimum(theta, 1e21)[0])
    assert np.isfinite(interaction.optimum(EXAMPLES["interaction"], [1e19, 1e23])).all()


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
        scale = np.abs(bent).max()
        assert bent[:, j] == pytest.approx((slope * weights[:, None]).sum(axis=-1), rel=1e-6, abs=1e-8 * scale)


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


@at_gophers_budget
def test_optimum_at_gophers_budget(name, theta, N, D):
    assert chinchilla.optimum(theta, GOPHER_FLOPS) == pytest.approx((N, D), rel=5e-3)  # three digits are quoted


def test_optimum_of_a_batch():
    batch = np.stack([chinchilla.array(TEX), chinchilla.array(REFIT)])
    N, D = chinchilla.optimum(batch, [1e20, 1e22, 1e24])
    assert N.shape == D.shape == (2, 3)
    assert N[1, 2] == pytest.approx(chinchilla.optimum(REFIT, 1e24)[0], rel=1e-14)


def test_kaplans_form_is_a_power_law():
    """Kaplan et al. 2020, eq. 1.1: (8.8e13 / N)^0.076, which is 2.865 nats at the 85M parameters of GPT-2 small."""
    A = 8.8e13**0.076
    assert power.value([A, 0.076], 85e6) == pytest.approx(2.865, abs=5e-4)
    assert kaplan_scale(A, 0.076) == pytest.approx(8.8e13, rel=1e-12)
    assert power.value([A, 0.076], 8.8e13) == pytest.approx(1, rel=1e-12)


def test_the_rule_of_an_optimum_is_the_one_of_counting():
    """`laws.law` imports nothing of this package, so it writes the 6 of C = 6 N D itself."""
    assert inspect.signature(Law.optimum).parameters["k"].default == counting.FLOPS_PER_PARAM_TOKEN
    for module in ("law", "jet"):
        assert "scalinglaws" not in Path(laws.__file__).with_name(f"{module}.py").read_text(encoding="utf-8")


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


@every_law
def test_noise_free_points_come_back(law):
    """Parameters of the laws with a bend or an envelope are known to the condition times the round-off of a loss."""
    theta, x = example(law, n=80)
    truth = dict(zip(law.parameters, theta[0], strict=True))
    found = fit(law, L=law.value(truth, *x), **dict(zip(law.variables, x, strict=True)))
    assert found.status is Status.OK
    assert found.theta == pytest.approx(truth, rel=1e-12 * max(1.0, found.condition))


@every_law
def test_units_of_any_law_can_change(law):
    theta, x = example(law)
    units = {name: unit for name, unit in zip("NDSBUxL", [1e7, 1e9, 1e3, 1e5, 1e9, 30.0, 2.5], strict=True)}
    scaled = law.theta(law.rescale(law.coordinates(theta), units))
    inside = [column / units[law.unit_of[name]] for name, column in zip(law.variables, x, strict=True)]
    assert units["L"] * law.value(scaled, *inside) == pytest.approx(law.value(theta, *x), rel=1e-11)


def test_the_other_published_formulas():
    N, D = np.array([1e7, 1e9]), np.array([2e9, 3e10])
    N_c, D_c, alpha_N, alpha_D = EXAMPLES["kaplan_joint"].values()
    expected = ((N_c / N) ** (alpha_N / alpha_D) + D_c / D) ** alpha_D
    assert kaplan_joint.value(EXAMPLES["kaplan_joint"], N, D) == pytest.approx(expected, rel=1e-13)
    expected = (6.5e13 / N) ** 0.077 + (2.1e3 / np.array([1e3, 1e5])) ** 0.76
    assert kaplan_steps.value(EXAMPLES["kaplan_steps"], N, [1e3, 1e5]) == pytest.approx(expected, rel=1e-13)
    assert critical_batch.value(EXAMPLES["critical_batch"], 3.0) == pytest.approx(2.1e8 / 3 ** (1 / 0.21), rel=1e-13)
    expected = 0.857 - 2.21 * np.exp(-0.715 * 3.0)
    assert loss_to_error.value(EXAMPLES["loss_to_error"], 3.0) == pytest.approx(expected, rel=1e-13)
    x, (E, A, c_0, d, c_1, f) = np.array([1e7, 1e10]), EXAMPLES["broken"].values()
    expected = E + A * x**-c_0 * (1 + (x / d) ** (1 / f)) ** (-c_1 * f)
    assert broken.value(EXAMPLES["broken"], x) == pytest.approx(expected, rel=1e-13)


def test_rosenfelds_envelope_is_the_modulus_of_the_paper():
    """eps_0 |t / (t - i eta)| with t in units of eta / eps_0."""
    theta, N, D = EXAMPLES["rosenfeld"], np.geomspace(10, 1e9, 9), 1e10
    eta = 18.5
    tilde = chinchilla.value(SURFACE, N, D) * eta / theta["eps_0"]
    expected = theta["eps_0"] * np.abs(tilde / (tilde - 1j * eta))
    assert rosenfeld.value(theta, N, D) == pytest.approx(expected, rel=1e-13)
    assert rosenfeld.value(theta, 1.0, 1.0) == pytest.approx(theta["eps_0"], rel=1e-5)
    assert rosenfeld.optimum(theta, 1e21) == pytest.approx(chinchilla.optimum(SURFACE, 1e21), rel=1e-12)


def test_the_excess_of_repeats_is_zero_on_new_text_and_a_power_of_the_epochs_after_the_first():
    theta, D = EXAMPLES["repeats_excess"], np.array([1e8, 1e9, 1e10])
    fresh = 1.8 + 2100 * D**-0.37
    assert repeats_excess.value(theta, D, D) == pytest.approx(fresh, rel=1e-12)
    assert repeats_excess.value(theta, D, 5 * D) == pytest.approx(fresh, rel=1e-12)
    assert repeats_excess.value(theta, D, D / [2, 3, 17]) - fresh == pytest.approx(0.05 * np.array([1, 2, 16]) ** 0.6)


def test_a_fit_to_few_epochs_finds_the_excess_of_many():
    rng, D = np.random.default_rng(3), np.tile(2.0 ** np.arange(16, 23), 2)
    U = np.where(np.arange(14) < 7, D, 2.0**16)
    truth = {"E": 1.5, "B": 60.0, "c": 0.03, "beta": 0.35, "p": 0.7}
    L = repeats_excess.value(truth, D, U) * np.exp(1e-4 * rng.normal(size=14))
    seen = D / U <= 16
    found = fit(repeats_excess, D=D[seen], U=U[seen], L=L[seen])
    assert found.status is Status.OK
    assert found.predict(D=2.0**22, U=2.0**16) == pytest.approx(repeats_excess.value(truth, 2.0**22, 2.0**16), abs=0.02)


def test_muennighoffs_example_of_the_readme():
    """Muennighoff et al. 2023, README: a smaller model on more repeats of 25e9 tokens wins."""
    surface = {"E": np.exp(0.6254804), "A": np.exp(6.255414), "B": np.exp(7.3049974)}
    theta = {**surface, "alpha": 0.3526596, "beta": 0.3526596, "R_N_star": 5.3097, "R_D_star": 15.3878}
    losses = muennighoff.value(theta, [6.34e9, 8.67e9], [242e9, 178e9], 25e9)
    assert losses == pytest.approx([2.22564, 2.22696], abs=1e-5)
    # Effective over processed tokens at 4 and 40 epochs: all of the loss that depends on D.
    for epochs, share in {4: 0.931, 40: 0.379}.items():
        D = 1e9 * epochs
        of_data = muennighoff.value(theta, 1e5, D, 1e9) - muennighoff.value(theta, 1e5, 1e30, 1e30)
        assert (of_data / theta["B"]) ** (-1 / 0.3526596) / D == pytest.approx(share, abs=1e-3)


def test_one_pass_over_small_models_is_chinchillas_surface():
    theta, N, D = EXAMPLES["muennighoff"], np.geomspace(1e5, 1e7, 5), 1e11
    assert muennighoff.value(theta, N, D, D) == pytest.approx(chinchilla.value(SURFACE, N, D), rel=1e-14)
    assert muennighoff.value(theta, N, D, 2 * D) == pytest.approx(chinchilla.value(SURFACE, N, D), rel=1e-14)


@pytest.mark.parametrize("unique", [1e9, 1e10, 1e12])
def test_optimum_with_repeated_data_is_the_least_loss(unique):
    theta, C = EXAMPLES["muennighoff"], np.array([1e20, 1e22])
    N, D = muennighoff.optimum(theta, C, U=unique)
    assert np.multiply(6 * N, D) == pytest.approx(C, rel=1e-12)
    others = N[:, None] * np.geomspace(0.05, 20, 2001)  # 1000 is the optimum itself
    losses = muennighoff.value(theta, others, C[:, None] / 6 / others, unique)
    assert losses.min(axis=1) == pytest.approx(losses[:, 1000], rel=1e-9)
    fresh_N, fresh_D = chinchilla.optimum(SURFACE, C)
    enough = fresh_D <= unique
    assert N[enough].tolist() == fresh_N[enough].tolist()
    assert (N[~enough] < fresh_N[~enough]).all()  # repeats lengthen training rather than widen the model


def test_gadres_law_in_compute_and_overtraining():
    E, a, b, eta = EXAMPLES["gadre"].values()
    N, M = np.array([1e8, 1e9]), np.array([20.0, 640.0])
    C = 6 * N * N * M
    expected = E + (a * M**eta + b * M**-eta) * C**-eta
    assert gadre.value(EXAMPLES["gadre"], N, N * M) == pytest.approx(expected, rel=1e-13)


def test_at_the_critical_batch_both_costs_double():
    theta = {"S_min": 5e3, "B_crit": 1e6}
    assert critical_batch_time.value(theta, 1e6) == pytest.approx(1e4, rel=1e-14)
    S = critical_batch_time.value(theta, [1e5, 1e6, 1e7])
    examples = S * [1e5, 1e6, 1e7]
    assert (S / 5e3 - 1) * (examples / 5e9 - 1) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(
    "law", [kaplan_joint, kaplan_steps, gadre, rosenfeld, coupled, interaction], ids=lambda law: law.name
)
def test_optimum_of_the_others_is_the_least_loss(law):
    theta, k = EXAMPLES[law.name], 6.0 if law.variables[1] == "D" else 6e6
    C = 1e21
    N, other = law.optimum(theta, C, k=k)
    assert k * N * other == pytest.approx(C, rel=1e-12)
    sizes = N * np.geomspace(0.5, 2, 201)
    assert law.value(theta, sizes, C / k / sizes).argmin() == 100


def test_efficient_training_stops_a_tenth_above_the_converged_loss():
    """Kaplan et al. 2020, eq. B.5: at fixed batch the steps' share of the loss is alpha_N / alpha_S of the size's."""
    theta = EXAMPLES["kaplan_steps"]
    N, S = kaplan_steps.optimum(theta, 1e21, k=6e6)
    converged = (theta["N_c"] / N) ** theta["alpha_N"]
    assert kaplan_steps.value(theta, N, S) / converged - 1 == pytest.approx(0.077 / 0.76, rel=1e-9)


def test_an_exponential_that_would_turn_negative_is_still_fitted():
    """Errors of models near the ceiling: log residuals need a positive law at every step."""
    x = np.linspace(2.2, 6, 30)
    noise = np.exp(0.02 * np.random.default_rng(0).normal(size=30))
    found = fit(loss_to_error, x=x, L=loss_to_error.value(EXAMPLES["loss_to_error"], x) * noise)
    assert found.status is Status.OK
    assert found.theta["epsilon"] == pytest.approx(0.857, rel=0.05)


@pytest.mark.parametrize("law", [kaplan_joint, kaplan_steps], ids=lambda law: law.name)
@pytest.mark.parametrize(("of_size", "of_data"), [(0.0, 2143.4), (400.0, 0.0), (0.0, 0.0)])
def test_a_scale_without_effect_is_finite_or_said_to_overflow(law, of_size, of_data):
    N, D = (column.ravel() for column in np.meshgrid(np.geomspace(1e7, 1e9, 7), np.geomspace(1e9, 1e11, 7)))
    noise = np.exp(0.002 * np.random.default_rng(0).normal(size=49))
    points = dict(zip(law.variables, (N, D), strict=True))
    L = (2 + of_size / N**0.35 + of_data / D**0.367) * noise
    found = fit(law, **points, L=L)
    assert np.isfinite(list(found.theta.values())).all()
    assert found.predict(**points) == pytest.approx(L, rel=0.1)
    far = fit(law, **points, L=1e6 * L)
    assert far.status is Status.ILL_CONDITIONED
    assert "overflows: count the loss in a unit" in far.message
    assert Fit.from_json(far.to_json()) == far


@pytest.mark.parametrize(
    "law", [chinchilla, kaplan_joint, kaplan_steps, gadre, rosenfeld, muennighoff], ids=lambda law: law.name
)
def test_an_exponent_at_its_bound_has_no_optimum(law):
    theta, _ = example(law)
    calls = [lambda t: law.optimum(t, 1e21), law.optimum_exponents][: 1 + (law is not muennighoff)]
    for j, (name, kind) in enumerate(law.kinds.items()):
        if kind == "exponent":
            at = theta.copy()
            at[0, j] = low = law.bounds[0][j]
            for call in calls:
                with pytest.raises(
                    ValueError, match=f"^{name} is {low:.4g}, at its bound: this fit has no compute-opt"
                ):
                    call(at[0])
                assert np.isfinite(call(at)[0][1])  # a batch keeps its other rows


@pytest.mark.parametrize("C", [-1.0, 0.0, np.nan, np.inf, [1e21, -1e21]])
@pytest.mark.parametrize("law", [chinchilla, muennighoff], ids=lambda law: law.name)
def test_a_budget_is_positive_and_finite(law, C):
    with pytest.raises(ValueError, match="C must be positive and finite"):
        law.optimum(EXAMPLES.get(law.name, SURFACE), C)


def test_a_bound_says_what_it_means():
    x = np.geomspace(1e6, 1e10, 30)
    corner = 2 + 3 * np.where(x < 1e8, (x / 1e8) ** -0.3, 1.0)
    assert "f_1 at 0.01: the bend is a corner" in fit(broken, x=x, L=corner).message
    x = np.linspace(2, 5, 12)
    batch = 1e6 * np.exp(0.01 * np.random.default_rng(0).normal(size=12))
    assert "alpha_B at 50: the batch does not change with the loss" in fit(critical_batch, x=x, L=batch).message
    assert chinchilla.bound_words("A", lowest=True) == "its term has vanished"
    assert chinchilla.bound_words("A", lowest=False) == "larger than these points can tell"
