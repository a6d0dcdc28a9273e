"""The gate: a candidate that is better or as good is promoted, a lucky one isn't, and the reason has the numbers."""

import json

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom

from schemas.gate import DEFAULT_GATE, GateRules
from tasks.scoring import gate as gate_module
from tasks.scoring.gate import Candidate, Champion, Criterion, decide, holm

ROWS = 10_000
LABELS = (np.arange(ROWS) % 10).astype(np.uint8)


def right(*wrong):
    """Return predictions that are right except in these rows."""
    correct = np.ones(ROWS, bool)
    for rows in wrong:
        correct[list(rows)] = False
    return correct


def spread(count, start=0):
    """Return `count` rows, equally many of each class."""
    return range(start, start + count)


def gate(ours, theirs, rules=DEFAULT_GATE, *, costs=(0.01, 0.4, 1.0), **further):
    champion = None if theirs is None else Champion(7, theirs)
    return decide(Candidate(ours, *costs), champion, LABELS, rules, **further)


def test_the_first_candidate_only_has_to_meet_min_accuracy():
    assert gate(right(spread(300)), None, costs=(0.9, 1e3, 1e3)).promoted
    refused = gate(right(spread(301)), None)
    assert not refused.promoted
    assert refused.reason == "accuracy: 96.99% is too low (--min-accuracy 0.97)"


def test_a_better_candidate_is_promoted_with_numbers_as_reason():
    decision = gate(right(spread(70)), right(spread(100)))
    assert decision.promoted
    assert (decision.fixed, decision.made, decision.champion) == (30, 0, 7)
    assert decision.difference == pytest.approx(0.3)
    assert decision.p_better == pytest.approx(0.5**30)
    assert decision.reason.startswith(
        "it fixes 30 mistakes of version 7 and makes 0 new ones: better by +0.30 percentage"
    )
    assert decision.lower < 0.3


def test_a_candidate_equal_to_the_champion_is_promoted():
    decision = gate(right(spread(90)), right(spread(90)))
    assert decision.promoted
    assert (decision.p_better, decision.p_worse) == (1, 1)
    assert -0.1 < decision.lower < 0, "equal predictions on a sample don't prove equal accuracy"


def test_a_worse_candidate_is_refused():
    decision = gate(right(spread(140)), right(spread(100)))
    assert not decision.promoted
    assert "it fixes 0 mistakes and makes 40 new ones" in decision.reason
    assert decision.p_worse < 1e-9


def test_a_candidate_with_a_lucky_lead_is_refused():
    """54 fixed and 46 new mistakes are within chance for equal networks; `>=` would promote this one."""
    ours, theirs = right(spread(46), range(500, 540)), right(range(100, 154), range(500, 540))
    decision = gate(ours, theirs)
    assert decision.accuracy > decision.champion_accuracy
    assert not decision.promoted
    assert "percentage points worse (--gate-margin 0.1)" in decision.reason
    assert gate(ours, theirs, GateRules(gate_margin=1)).promoted


def test_the_lower_bound_combines_exact_bounds_at_half_of_alpha():
    fixed, made = 60, 20
    decision = gate(right(spread(made)), right(range(100, 100 + fixed)))
    least = brentq(lambda share: binom.sf(fixed - 1, ROWS, share) - decision.alpha / 2, 1e-6, 0.5)
    most = brentq(lambda share: binom.cdf(made, ROWS, share) - decision.alpha / 2, 1e-6, 0.5)
    assert decision.lower == pytest.approx(100 * (least - most), abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "p_fixed", "p_made"), [(100, 0, 0.01), (300, 0, 0.005), (1000, 0, 0.002), (2000, 0.002, 0.004)]
)
def test_a_worse_candidate_is_promoted_at_most_as_often_as_alpha(rows, p_fixed, p_made):
    """Also on few rows, where the two may happen not to differ."""
    random = np.random.default_rng(3)
    labels, promoted = (np.arange(rows) % 10).astype(np.uint8), 0
    for _ in range(400):
        drawn = random.random(rows)
        ours, theirs = drawn >= p_made, (drawn < p_made) | (drawn < 1 - p_fixed)
        decision = decide(Candidate(ours, 0.01, 1, 1), Champion(7, theirs), labels, GateRules(min_accuracy=0))
        promoted += decision.promoted
    assert promoted / 400 <= 0.05 * 6 / np.pi**2 + 0.02


def test_a_significantly_better_candidate_needs_no_margin():
    """On 200 rows no bound is within a tenth of a point, but 9 mistakes fixed and none made is significant."""
    labels = (np.arange(200) % 10).astype(np.uint8)
    theirs = np.ones(200, bool)
    theirs[:9] = False
    decision = decide(Candidate(np.ones(200, bool), 0.01, 1, 1), Champion(7, theirs), labels, DEFAULT_GATE)
    assert decision.lower < -0.1
    assert decision.p_better == pytest.approx(0.5**9)
    assert decision.promoted


def test_alpha_is_spent_over_all_candidates_of_a_champion():
    alphas = [gate(right(), right(), refused_before=before).alpha for before in range(2_000)]
    assert alphas[0] == pytest.approx(0.05 * 6 / np.pi**2)
    assert sum(alphas) < DEFAULT_GATE.gate_alpha
    assert sum(alphas) == pytest.approx(DEFAULT_GATE.gate_alpha, rel=1e-3)


def test_a_candidate_after_many_refusals_needs_a_larger_lead():
    ours, theirs = right(spread(62)), right(range(100, 196))
    assert gate(ours, theirs).promoted
    assert not gate(ours, theirs, refused_before=30).promoted


def test_a_lower_recall_of_one_class_is_refused_and_named():
    fours = [row for row in range(ROWS) if LABELS[row] == 4]
    others = [row for row in range(ROWS) if LABELS[row] != 4]
    decision = gate(right(fours[:25]), right(others[:120]))
    assert decision.difference > 0
    assert not decision.promoted
    assert "recall: significantly lower for 4 (--gate-alpha 0.05)" in decision.reason
    assert next(test for test in decision.classes if test.label == 4).made == 25


@pytest.mark.parametrize(
    ("costs", "reason"),
    [
        ((0.06, 1, 1), "calibration error: 0.06 is too high (--max-calibration-error 0.05)"),
        ((0.01, 21, 1), "model size: 21 MiB is too large (--max-model-mib 20)"),
        ((0.01, 1, 51), "latency: 51 ms for one image is too long (--max-latency-ms 50)"),
    ],
)
def test_a_candidate_that_costs_too_much_is_refused(costs, reason):
    decision = gate(right(spread(50)), right(spread(100)), costs=costs)
    assert not decision.promoted
    assert decision.reason == reason


class ToyRules(GateRules):
    """The rules with one more threshold."""

    max_mistakes: int = 60


def test_a_new_criterion_refuses_a_candidate_with_its_reason(monkeypatch):
    def too_many_mistakes(decision, rules):
        mistakes = round((1 - decision.accuracy) * decision.rows)
        return f"{mistakes} are too many" if mistakes > rules.max_mistakes else None

    criterion = Criterion("mistakes", too_many_mistakes, "max_mistakes")
    monkeypatch.setattr(gate_module, "CRITERIA", (*gate_module.CRITERIA, criterion))
    refused = gate(right(spread(70)), right(spread(100)), ToyRules())
    assert not refused.promoted
    assert refused.reason == "mistakes: 70 are too many (--max-mistakes 60)"
    assert gate(right(spread(60)), right(spread(100)), ToyRules()).promoted


def test_the_threshold_of_each_criterion_is_a_rule():
    assert {criterion.threshold for criterion in gate_module.CRITERIA} == set(GateRules.model_fields)


def test_force_gets_past_a_champion_that_cant_be_compared_with():
    candidate, champion = Candidate(right(spread(50)), 0.01, 1, 1), Champion(3, None, "model.keras was changed")
    decision = decide(candidate, champion, LABELS, DEFAULT_GATE)
    assert not decision.promoted
    assert decision.reason == (
        "the champion, version 3, can't be compared with (model.keras was changed); "
        "use --force REASON to promote anyway"
    )
    forced = decide(candidate, champion, LABELS, DEFAULT_GATE, forced="the old one is broken")
    assert forced.promoted
    assert forced.forced
    assert forced.reason == "forced: the old one is broken"


def test_a_candidate_that_passes_by_itself_isnt_marked_as_forced():
    assert not gate(right(spread(50)), right(spread(100)), forced="whatever").forced


def test_a_decision_is_plain_json_without_row_numbers():
    contents = json.loads(json.dumps(gate(right(spread(70)), right(spread(100))).to_dict()))
    assert contents["promoted"] is True
    assert contents["fixed"] == 30
    assert len(contents["classes"]) == 10
    assert not {"fixed_rows", "broken_rows"} & set(contents)


def test_a_decision_has_the_first_rows_fixed_and_broken():
    decision = gate(right(range(5, 9)), right(range(7)))
    assert (decision.fixed_rows, decision.broken_rows) == ((0, 1, 2, 3, 4), (7, 8))
    assert gate(right(), right(range(40))).fixed_rows == tuple(range(16))


def test_holms_correction_matches_values_computed_by_hand():
    """Holm (1979): the smallest of three is tripled, the next doubled, and none falls below the one before it."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]


def test_in_a_simulation_luck_promotes_ten_times_less_often(monkeypatch):
    """A short run of the benchmark's simulation."""
    monkeypatch.syspath_prepend("benchmarks")
    import gate_simulation

    naive, gated = gate_simulation.outcomes(0.0, 12)
    assert sum(outcome.promotions for outcome in naive) >= 10 * sum(outcome.promotions for outcome in gated)
    assert np.mean([gate_simulation.promoted_at_once(0.3, seed) for seed in range(40)]) > 0.75
