"""The gate: promotes what is better or as good, not what is lucky; says why with every figure."""

import json

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom

from schemas.gate import DEFAULT_GATE, GateRules
from schemas.images import InMemoryImages
from tasks.scoring.gate import Candidate, Champion, changes, decide, holm

ROWS = 10_000
LABELS = (np.arange(ROWS) % 10).astype(np.uint8)


def right(*wrong):
    """Give which rows are right: all but these."""
    answers = np.ones(ROWS, bool)
    for rows in wrong:
        answers[list(rows)] = False
    return answers


def spread(count, start=0):
    """Give so many rows, of every class alike."""
    return range(start, start + count)


def gate(ours, theirs, rules=DEFAULT_GATE, *, costs=(0.01, 0.4, 1.0), **further):
    champion = None if theirs is None else Champion(7, theirs)
    return decide(Candidate(ours, *costs), champion, LABELS, rules, **further)


def test_the_first_candidate_has_only_the_floor_to_pass():
    assert gate(right(spread(300)), None, costs=(0.9, 1e3, 1e3)).promoted
    refused = gate(right(spread(301)), None)
    assert not refused.promoted
    assert refused.reason == "its accuracy of 96.99% is below --min-accuracy, 97.00%"


def test_a_better_candidate_is_promoted_with_the_figures_of_why():
    decision = gate(right(spread(70)), right(spread(100)))
    assert decision.promoted
    assert (decision.fixed, decision.made, decision.champion) == (30, 0, 7)
    assert decision.difference == pytest.approx(0.3)
    assert decision.p_better == pytest.approx(0.5**30)
    assert decision.reason.startswith("it fixes 30 mistakes of version 7 and makes 0 new ones: better by +0.30 points")
    assert decision.lower < 0.3


def test_the_same_again_is_as_good():
    decision = gate(right(spread(90)), right(spread(90)))
    assert decision.promoted
    assert (decision.p_better, decision.p_worse) == (1, 1)
    assert -0.1 < decision.lower < 0, "it can't be known that they never differ"


def test_a_worse_candidate_is_refused():
    decision = gate(right(spread(140)), right(spread(100)))
    assert not decision.promoted
    assert "it fixes 0 mistakes and makes 40 new ones" in decision.reason
    assert decision.p_worse < 1e-9


def test_luck_is_not_enough():
    """54 fixed and 46 newly made is what equals do to each other: `>=` would promote it."""
    ours, theirs = right(spread(46), range(500, 540)), right(range(100, 154), range(500, 540))
    decision = gate(ours, theirs)
    assert decision.accuracy > decision.champion_accuracy
    assert not decision.promoted
    assert "more than --gate-margin, 0.1" in decision.reason
    assert gate(ours, theirs, GateRules(gate_margin=1)).promoted


def test_the_bound_is_made_of_exact_ones():
    """At the least share that may be fixed, so many have half of alpha for a chance; at the most made, so few."""
    fixed, made = 60, 20
    decision = gate(right(spread(made)), right(range(100, 100 + fixed)))
    least = brentq(lambda share: binom.sf(fixed - 1, ROWS, share) - decision.alpha / 2, 1e-6, 0.5)
    most = brentq(lambda share: binom.cdf(made, ROWS, share) - decision.alpha / 2, 1e-6, 0.5)
    assert decision.lower == pytest.approx(100 * (least - most), abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "p_fixed", "p_made"), [(100, 0, 0.01), (300, 0, 0.005), (1000, 0, 0.002), (2000, 0.002, 0.004)]
)
def test_a_candidate_worse_than_the_margin_has_no_more_than_its_chance(rows, p_fixed, p_made):
    """On few rows, too, where nothing may happen to differ."""
    random = np.random.default_rng(3)
    labels, promoted = (np.arange(rows) % 10).astype(np.uint8), 0
    for _ in range(400):
        drawn = random.random(rows)
        ours, theirs = drawn >= p_made, (drawn < p_made) | (drawn < 1 - p_fixed)
        decision = decide(Candidate(ours, 0.01, 1, 1), Champion(7, theirs), labels, GateRules(min_accuracy=0))
        promoted += decision.promoted
    assert promoted / 400 <= 0.05 * 6 / np.pi**2 + 0.02


def test_what_is_significantly_better_needs_no_margin():
    """On few rows no bound comes near a tenth of a point; 9 fixed and none newly made are better all the same."""
    labels = (np.arange(200) % 10).astype(np.uint8)
    theirs = np.ones(200, bool)
    theirs[:9] = False
    decision = decide(Candidate(np.ones(200, bool), 0.01, 1, 1), Champion(7, theirs), labels, DEFAULT_GATE)
    assert decision.lower < -0.1
    assert decision.p_better == pytest.approx(0.5**9)
    assert decision.promoted


def test_the_chance_of_error_is_spent_over_all_candidates_of_a_champion():
    alphas = [gate(right(), right(), refused_before=before).alpha for before in range(2_000)]
    assert alphas[0] == pytest.approx(0.05 * 6 / np.pi**2)
    assert sum(alphas) < DEFAULT_GATE.gate_alpha
    assert sum(alphas) == pytest.approx(DEFAULT_GATE.gate_alpha, rel=1e-3)


def test_who_tried_often_has_to_show_more():
    ours, theirs = right(spread(62)), right(range(100, 196))
    assert gate(ours, theirs).promoted
    assert not gate(ours, theirs, refused_before=30).promoted


def test_a_class_that_is_recognised_worse_is_named_though_the_whole_is_better():
    fours = [row for row in range(ROWS) if LABELS[row] == 4]
    others = [row for row in range(ROWS) if LABELS[row] != 4]
    decision = gate(right(fours[:25]), right(others[:120]))
    assert decision.difference > 0
    assert not decision.promoted
    assert "it recognises 4 significantly less often" in decision.reason
    assert next(test for test in decision.classes if test.label == 4).made == 25


@pytest.mark.parametrize(
    ("costs", "told"),
    [
        ((0.06, 1, 1), "0.06 calibration error is more than --max-calibration-error, 0.05"),
        ((0.01, 21, 1), "21 MiB is more than --max-model-mib, 20"),
        ((0.01, 1, 51), "51 ms an image is more than --max-latency-ms, 50"),
    ],
)
def test_costs_are_bounded(costs, told):
    decision = gate(right(spread(50)), right(spread(100)), costs=costs)
    assert not decision.promoted
    assert decision.reason == told


def test_a_champion_that_cannot_be_asked_is_told_of_and_force_gets_past_it():
    candidate, champion = Candidate(right(spread(50)), 0.01, 1, 1), Champion(3, None, "model.keras was changed")
    decision = decide(candidate, champion, LABELS, DEFAULT_GATE)
    assert not decision.promoted
    assert decision.reason == "version 3 can't be compared with (model.keras was changed): --force decides"
    forced = decide(candidate, champion, LABELS, DEFAULT_GATE, forced="the old one is broken")
    assert forced.promoted
    assert forced.forced
    assert forced.reason == "forced: the old one is broken"


def test_force_isnt_noted_where_it_wasnt_needed():
    assert not gate(right(spread(50)), right(spread(100)), forced="whatever").forced


def test_a_decision_is_plain_json():
    figures = json.loads(json.dumps(gate(right(spread(70)), right(spread(100))).to_dict()))
    assert figures["promoted"] is True
    assert figures["fixed"] == 30
    assert len(figures["classes"]) == 10
    assert "changes" not in figures


def test_changes_show_what_was_fixed_and_what_is_new():
    pixels = np.arange(ROWS, dtype=np.uint64)[:, None].repeat(784, axis=1).astype(np.uint8)
    shown = changes(right(range(5, 9)), right(range(7)), InMemoryImages(pixels, LABELS))
    assert [(change.fixed, change.label) for change in shown] == [
        *((True, label) for label in (0, 1, 2, 3, 4)), (False, 7), (False, 8),
    ]  # fmt: skip
    assert all((change.picture == change.label).all() for change in shown)


def test_holm_by_hand():
    """Holm (1979): the smallest of three counts thrice, the next twice, and none less than one before it."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]


def test_by_simulation_luck_promotes_ten_times_as_often_without_it(monkeypatch):
    """The benchmark's simulation, a short run of it."""
    monkeypatch.syspath_prepend("benchmarks")
    import gate_simulation

    naive, gated = gate_simulation.outcomes(0.0, 12)
    assert sum(outcome.promotions for outcome in naive) >= 10 * sum(outcome.promotions for outcome in gated)
    assert np.mean([gate_simulation.promoted_at_once(0.3, seed) for seed in range(40)]) > 0.75
