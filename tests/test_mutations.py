"""The tests can fail: each of these small lies in a law, a count or a constant turns some of them red."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIB = "lib/scalinglaws"
MUTATIONS = {  # what: file, the truth, the lie, a test that must notice
    "backward pass": (f"{LIB}/counting.py", "return 3 * (2 * count(model).n_params_matmul", "return 2 * (2 * count(model).n_params_matmul", "test_counting.py::test_flops_equal_torchs_counter"),
    "attention matrices": (f"{LIB}/counting.py", "model.n_layer * 4 * d * d", "model.n_layer * 3 * d * d", "test_counting.py::test_groups_equal_the_built_model"),
    "optimal size": (f"{LIB}/laws/law.py", "np.log(alpha / beta) + log_A", "np.log(beta / alpha) + log_A", "laws/test_laws.py::test_optimum_at_gophers_budget"),
    "optimal exponent": (f"{LIB}/laws/law.py", "return beta / (alpha + beta), alpha", "return alpha / (alpha + beta), alpha", "laws/test_laws.py::test_optimum_exponents_are_the_slopes_of_the_optimum"),
    "joint law": (f"{LIB}/laws/catalogue.py", "(N_c - logs[0]) * (alpha_N / alpha_D)", "(N_c - logs[0]) * (alpha_D / alpha_N)", "laws/test_laws.py::test_the_other_published_formulas"),
    "robust threshold": (f"{LIB}/laws/fit.py", "HUBER_SIGMAS = 1.345", "HUBER_SIGMAS = 1.645", "laws/test_fit.py::test_delta_follows_the_noise"),
    "noise trace": (f"{LIB}/lab/noise.py", "(1 / small_tokens - 1 / big_tokens)", "(1 / small_tokens + 1 / big_tokens)", "lab/test_noise.py::test_two_batches_are_unbiased"),
    "muP learning rate": (f"{LIB}/lab/mup.py", "lr=1 / r, decay=r, eps", "lr=1 / r**0.5, decay=r, eps", "lab/test_mup.py::test_hidden_matrices_lose_learning_rate_with_width"),
    "Chinchilla's exponent": ("data/published/published.csv", "alpha=0.34; beta=0.28", "alpha=0.35; beta=0.28", "test_published.py"),
    "Kaplan's exponent": ("data/published/published.csv", "data)\",alpha_N,0.076,0.076", "data)\",alpha_N,0.067,0.067", "test_published.py"),
    "entropy of the source": (f"{LIB}/lab/corpus/markov.py", "(self.bigram_entropy - self.entropy) / seq_len", "(self.bigram_entropy - self.entropy) / (seq_len + 1)", "lab/test_corpus.py::test_the_floor_of_a_window"),
    "interval": (f"{LIB}/laws/bootstrap.py", "(1 - level) / 2, (1 + level) / 2", "(1 - level) / 3, (2 + level) / 3", "laws/test_bootstrap.py::test_intervals_of_anything"),
    "pure error": (f"{LIB}/laws/lackoffit.py", "df = (cells - fitted, n - cells)", "df = (cells, n - cells)", "laws/test_lackoffit.py::test_pure_error_is_the_textbooks"),
    "terms beyond the law": (f"{LIB}/laws/lackoffit.py", "terms - Q @ (Q.T @ terms)", "terms", "laws/test_lackoffit.py::test_terms_are_those_of_a_regression_with_more_columns[False]"),
    "bracket": (f"{LIB}/laws/forms.py", "-k * z], axis=1)", "k * z], axis=1)", "laws/test_laws.py::test_the_bracket_and_the_interaction_are_those_of_the_chain_rule"),
    "pinned coordinate": (f"{LIB}/laws/pins.py", "values[place[name]] - rest[place[name]]", "values[place[name]]", "laws/test_pins.py::test_a_pinned_fit_is_the_optimum_of_the_others"),
    "hidden runs": (f"{LIB}/laws/backtest.py", "error=np.log(L[~seen]) - predicted", "error=predicted - np.log(L[~seen])", "laws/test_backtest.py::test_the_measured_error_is_over_its_forecast"),
    "falls of the rate": (f"{LIB}/laws/curves.py", "fall = rates[begin - 1] - rates[end]", "fall = rates[begin] - rates[end]", "laws/test_curves.py::test_short_schedules_are_not_cut_into_blocks"),
    "slopes of a schedule": (f"{LIB}/laws/curves.py", "q * left * (beta * more - 1)", "q * left * (beta * more + 1)", "laws/test_curves.py::test_the_slopes_that_certify_are_those_of_the_law"),
    "optima apart": (f"{LIB}/laws/curves.py", "apart = np.abs(u - u[best]).max(axis=1) > _APART", "apart = np.abs(u - u[best]).max(axis=1) < 0", "laws/test_curves.py::test_optima_apart_that_fit_alike_are_not_certified"),
    "neighbors go together": (f"{LIB}/laws/curves.py", "if along > 2 / math.sqrt(found.n_points)", "if along > 2", "laws/test_curves.py::test_points_that_go_together_have_no_standard_errors"),
    "noise of seeds": (f"{LIB}/laws/curves.py", '"between_seeds": spread(table, 0)', '"between_seeds": spread(normalized, 0)', "laws/test_curves.py::test_power_laws_collapse_below_the_noise_of_seeds"),
    "one pass": (f"{LIB}/laws/catalogue.py", "(c + p * log_repeats).exp() * repeated", "(c + p * log_repeats).exp()", "laws/test_laws.py::test_the_excess_of_repeats_is_zero_on_new_text_and_a_power_of_the_epochs_after_the_first"),
    "other texts": (f"{LIB}/lab/train.py", "evaluate(state.theta, spec, text.val)", "evaluate(state.theta, spec, self.corpus.val)", "lab/test_texts.py::test_a_run_that_asks_for_them_is_scored_on_each"),
    "goal of a design": (f"{LIB}/laws/design.py", "np.pad(self.slopes[self.goal]", "np.pad(self.slopes[0]", "laws/test_design.py::test_more_compute_and_the_loss"),
    "information of runs": (f"{LIB}/laws/design.py", "after = before + (", "after = before + 2 * (", "laws/test_design.py::test_the_expected_intervals_shrink_as_the_information_says"),
    "exponent of a frontier": (f"{LIB}/laws/compare.py", "alpha * beta / (alpha + beta))", "beta / (alpha + beta))", "laws/test_compare.py::test_the_ratio_is_that_of_the_frontiers"),
    "seeds of pairs": (f"{LIB}/laws/compare.py", 'by = ["N", "D", "seed"] if seeded else', 'by = ["N", "D"] if seeded else', "laws/test_compare.py::test_pairs_share_their_noise"),
    "Student's quantiles": (f"{LIB}/laws/intervals.py", "stdtrit(max(spare, 1)", "stdtrit(max(spare + 5, 1)", "laws/test_forecast.py::test_few_points_are_widened_to_students_quantiles"),
    "noise that follows the loss": (f"{LIB}/laws/bootstrap.py", "[1] + seen.size * np.log(squares)", "[1] - seen.size * np.log(squares)", "laws/test_bootstrap.py::test_sized_residuals_follow_the_slope_that_they_leave_likely"),
    "cells by default": (f"{LIB}/laws/bootstrap.py", "if how is None and not named:", "if not how and named:", "laws/test_bootstrap.py::test_cells_are_drawn_by_default_where_points_are_repeated"),
    "steps at the least": (f"{LIB}/laws/frontier.py", "np.maximum(size, 1.0) if least else size", "size", "laws/test_frontier.py::test_best_sizes_move_by_their_steps_at_least_and_by_their_scatter_as_students_line"),
    "held in every law": (f"{LIB}/laws/choice.py", "found = fit(law, L=L, **held, **given)", "found = fit(law, L=L, **given)", "laws/test_forecast.py::test_what_is_held_and_weighed_is_so_in_every_law"),
    "rotary exponent": (f"{LIB}/lab/model.py", "(-torch.arange(half, device=device) / half)", "(-torch.arange(half, device=device) / (2 * half))", "lab/test_truth.py::test_rotary_positions_are_a_complex_rotation"),
    "layers of the attention": (f"{LIB}/lab/model.py", "_heads(_norm(x) @ w[f\"{i}.qkv\"], model, at)\n        seen", "_heads(_norm(x) @ w[\"0.qkv\"], model, at)\n        seen", "lab/test_model.py::test_attention_is_what_the_layers_weigh_their_values_with"),
    "jackknife": (f"{LIB}/lab/noise.py", "math.sqrt((n - 1) * (without_one", "math.sqrt(n * (without_one", "lab/test_noise.py::test_the_jackknife_of_a_mean_is_its_standard_error"),
    "clipping": (f"{LIB}/lab/train.py", "(config.grad_clip / (g.norm", "(2 * config.grad_clip / (g.norm", "lab/test_truth.py::test_clipping_is_torchs"),
    "validation sample": (f"{LIB}/lab/train.py", "np.linspace(0, room - 1, wanted).astype(np.int64) * seq_len", "np.arange(wanted) * seq_len", "lab/test_truth.py::test_the_validation_sample_is_spread_over_the_text"),
    "warm-up": (f"{LIB}/lab/train.py", "config.lr * after / config.warmup_tokens", "config.lr * before / config.warmup_tokens", "lab/test_train.py::test_schedules"),
    "bias of the second moment": (f"{LIB}/lab/optimizers.py", "(v * corrections[1]).sqrt()", "v.sqrt()", "lab/test_truth.py::test_the_update_is_that_of_torchs_optimizer"),
    "decoupled decay": (f"{LIB}/lab/optimizers.py", '        if config.optimizer == "adamw":', '        g, decays = g + decay * theta, False\n        if config.optimizer == "adamw":', "lab/test_truth.py::test_the_update_is_that_of_torchs_optimizer"),
    "momentum": (f"{LIB}/lab/optimizers.py", "m.mul_(momentum).add_(g)", "m.mul_(momentum).add_(g, alpha=1 - momentum)", "lab/test_truth.py::test_the_update_is_that_of_torchs_optimizer"),
    "Newton-Schulz": (f"{LIB}/lab/optimizers.py", "a * wide + (b * square + c * square @ square) @ wide", "a * wide + (b * square + c * square) @ wide", "lab/test_optimizers.py::test_every_singular_value_goes_through_the_quintic"),
    "queries, keys and values apart": (f"{LIB}/lab/optimizers.py", '3 if name.endswith("qkv") else 1', "1", "lab/test_optimizers.py::test_muon_is_torchs"),
    "counts of a chain": (f"{LIB}/lab/corpus/chains.py", "+ v * self.alpha)", "+ self.alpha)", "lab/test_chains.py::test_the_predictive_is_the_ratio_of_what_the_windows_have"),
    "a chain for every window": (f"{LIB}/lab/corpus/chains.py", "size=(_BLOCK, v)).cumsum", "size=(1, v)).repeat(_BLOCK, 0).cumsum", "lab/test_chains.py::test_windows_are_as_frequent_as_they_should_be"),
    "over-fitted": (f"{LIB}/lab/train.py", "if seen <= uniform + 1 and", "if loss <= uniform + 1 and", "lab/test_train.py::test_an_over_fitted_run_is_a_result"),
    "depth on the branches": (f"{LIB}/lab/mup.py", "return 1 / model.depth_ratio if", "return model.depth_ratio**-0.5 if", "lab/test_truth.py::test_twenty_steps_are_those_of_torch"),
    "tables do not decay": (f"{LIB}/lab/mup.py", "lr=1.0, decay=0.0, eps=eps)", "lr=1.0, decay=1.0, eps=eps)", "lab/test_truth.py::test_twenty_steps_are_those_of_torch[adamw]"),
    "initial size": (f"{LIB}/lab/mup.py", "init_scale * fan_in**-0.5", "init_scale * fan_out**-0.5", "lab/test_truth.py::test_weights_begin_with_the_variance_of_their_inputs"),
    "error over sequences": (f"{LIB}/lab/train.py", "self.val).mean(-1)", "self.val).flatten()", "lab/test_truth.py::test_the_standard_error_of_a_validation_loss_is_the_scatter_of_losses"),
    "dropout masks": (f"{LIB}/lab/train.py", "1_000_003 + state.step", "1_000_003", "lab/test_train.py::test_dropout_drops_others_at_every_step_and_the_same_again"),
    "last tenth": (f"{LIB}/lab/train.py", "len(state.losses) // 10", "len(state.losses) // 5", "lab/test_train.py::test_the_training_loss_is_that_of_the_last_tenth_and_the_curve_is_by_tokens_seen"),
    "noise in tokens": (f"{LIB}/lab/noise.py", "of_one * sample_tokens", "of_one", "lab/test_noise.py::test_many_samples_are_unbiased"),
    "kind of bracket": (f"{LIB}/lab/tasks.py", "logits[:, 0, kind].logsumexp(-1)", "logits[:, 0, kind].amax(-1)", "lab/test_tasks.py::test_the_kind_of_bracket_that_is_chosen_has_the_most_probability_in_all"),
    "prompts of all the text": (f"{LIB}/lab/tasks.py", "np.linspace(0, n - 1, min(n, wanted)).astype(np.int64)", "np.arange(min(n, wanted))", "lab/test_tasks.py::test_prompts_are_spread_over_the_text[ascii]"),
    "tokens per parameter": (f"{LIB}/runs.py", "tokens / n.n_params_nonemb", "tokens / n.n_params", "test_runs.py::test_a_row_has_every_column_and_its_own_numbers"),
    "tokens of a parabola": (f"{LIB}/laws/frontier.py", "D_opt=of_D.optimum", "D_opt=budget.C / (6 * of_N.optimum)", "laws/test_frontier.py::test_tokens_have_their_own_parabola_where_C_is_not_6_N_D"),
    "error of a vertex": (f"{LIB}/laws/valleys.py", "of_vertex = -by_slope / self.bend", "of_vertex = -2 * by_slope / self.bend", "laws/test_frontier.py::test_the_stated_error_of_a_vertex_is_its_scatter"),
    "scatter of optima": (f"{LIB}/laws/frontier.py", "prior + freedom * float(w @ left**2) / expected", "prior + freedom", "laws/test_frontier.py::test_intervals_of_optima_hold"),
    "weight near the edge": (f"{LIB}/laws/frontier.py", "weight=min(1.0, weight))", "weight=1.0)", "laws/test_frontier.py::test_a_vertex_between_the_last_two_sizes_counts_by_its_error"),
    "runs of a budget": (f"{LIB}/book/figures.py", "np.abs(np.log(C[:, None] / at)).argmin(axis=1)", "np.abs(np.log(C[:, None] / at)).argmax(axis=1)", "book/test_figures.py::test_valleys_show_runs_curves_and_minima[parabola]"),
    "refused budget": (f"{LIB}/book/figures.py", "budget.L_opt, budget.refused is None", "budget.L_opt, True", "book/test_figures.py::test_valleys_show_what_was_refused_as_such"),
    "farthest hold-out": (f"{LIB}/book/gallery.py", "held.cuts[-1].record()", "held.cuts[0].record()", "book/test_gallery.py::test_forecasts_of_runs_that_follow_the_coupled_law_tell_the_laws_apart"),
    "twice the batch": (f"{LIB}/book/js/batch.js", "fewer: 1 - then.steps / now.steps", "fewer: then.steps / now.steps", "book/test_views.py::TestNumbers::test_batch"),
    "half of the long answers": (f"{LIB}/book/js/exact.js", "k / Math.LN2, 1 / data.a", "k / Math.LN2, data.a", "book/test_views.py::TestNumbers::test_exact"),
    "curvature on the page": (f"{LIB}/book/js/yours/fit.js", "((psi === r ? weight : 0) + weight * psi) / (f * f)", "(psi === r ? weight : 0) / (f * f)", "book/test_yours.py::TestNumbers::test_other_thresholds"),
    "draws of the page": (f"{LIB}/book/js/yours/draws.js", "if (rest >= least) return", "return", "book/test_yours.py::TestNumbers::test_the_draws_are_numpys"),
    "seeds on the page": (f"{LIB}/book/js/yours/draws.js", "repeated && !sized ? cell :", "false ? cell :", "book/test_yours.py::TestNumbers::test_fits_and_intervals_are_the_librarys"),
    "millions on the page": (f"{LIB}/book/js/yours/words.js", "[WORDS.scales[own.at(-1)], new Set(own.slice(0, -1))]", "[null, new Set(own.slice(0, -1))]", "book/test_yours.py::TestReading::test_names_of_columns"),
    "failed runs": (f"{LIB}/tables/readings.py", "        bad |= own\n    for role", "    for role", "cli/test_cli_fit.py::test_failed_runs_of_a_run_table_are_left_out_and_said"),
    "last reading": (f"{LIB}/tables/readings.py", '.groupby("label").tail(1)', '.groupby("label").head(1)', "cli/test_cases.py::test_a_value"),
    "millions": (f"{LIB}/tables/units.py", '("million", "millions", "mil", "mln", "mn", "mio", "mm"), 1e6', '("million", "millions", "mil", "mln", "mn", "mio", "mm"), 1e9', "test_tables.py::test_header_units"),
    "answers of exercises": ("_ext/withheld.py", 'or ASKED.search(cell.source) is not None)', "or False)", "book/test_withheld.py::test_what_is_withheld"),
    "budget of a refit": (f"{LIB}/laws/plan.py", "N, D = chinchilla.optimum(theta, budgets)", "N, D = chinchilla.optimum(theta, 2 * budgets)", "laws/test_forecast.py::test_a_plan_for_serving_has_the_intervals_of_what_each_refit_would_do"),
    "unit of a score": (f"{LIB}/book/exercises.py", "/ (width[1] - width[0])", "", "book/test_exercises.py::test_a_score_has_no_unit_so_that_scores_can_be_added"),
    "first forecast": (f"{LIB}/book/exercises.py", "first = kept.setdefault(key, row)", "first = kept[key] = row", "book/test_exercises.py::test_the_first_forecast_is_kept_and_survives_the_notebook"),
    "checks of answers": ("_ext/withheld.py", 'CHECK.sub("", cell.source).strip(), []', "cell.source, []", "book/test_withheld.py::test_what_is_withheld"),
    "caption of a slide": ("_ext/slides.py", 'around.select_one(".caption-text")', "around.figcaption", "book/test_slides.py::test_a_title_and_a_slide_for_each_figure"),
    "decimal commas": (f"{LIB}/tables/numbers.py", 'return "," if comma else "."', 'return "."', "cli/test_cases.py::test_the_same_runs_in_another_dress"),
}  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """What the tests of the library need, to be told lies in."""
    folder = tmp_path_factory.mktemp("mutated")
    for name in ("_ext", "lib", "tests", "data", "sweeps"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def pytest_in(copy):
    """Return a function that runs some tests of the copy and returns their exit status and what they printed."""
    printed = copy / "printed.txt"
    with (
        printed.open("w+") as log,
        subprocess.Popen(
            [sys.executable, ROOT / "tests/forking.py"],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy / "lib")},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as server,
    ):

        def run(tests):
            before = printed.stat().st_size
            server.stdin.write(f"tests/{tests} -q -x -p no:cacheprovider\n")
            server.stdin.flush()
            return server.stdout.readline().strip(), printed.read_bytes()[before:].decode()

        yield run
        server.stdin.close()


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_lie_turns_tests_red(name, copy, pytest_in):
    file, truth, lie, tests = MUTATIONS[name]
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert text.count(truth) == 1, "the line has changed: mend the table"
    path.write_text(text.replace(truth, lie), encoding="utf-8")
    try:
        status, printed = pytest_in(tests)
    finally:
        path.write_text(text, encoding="utf-8")
    assert status == "1", printed[-2000:]
    assert "\nFAILED " in printed, printed[-2000:]
