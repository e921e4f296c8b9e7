"""Who is told apart from whom: real differences, and none where there is none."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
from advice_runs import a_run, chat, documents, exam, share_right

from pytest_llmbench.records import Measurement
from pytest_llmbench.results.candidates import candidates
from pytest_llmbench.results.criteria import ACCURACY, DECODE, TESTED
from pytest_llmbench.results.duels import Duel, Duels
from pytest_llmbench.results.recommend import recommendations
from pytest_llmbench.results.recommendations import BETTER, NOT_COMPARED, TIE, WORSE
from pytest_llmbench.results.worsening import NoiseFloor


def duels_of(*measurements: Measurement, noise_floor: NoiseFloor = lambda _model, _metric: None) -> Duels:
    return Duels(candidates(a_run(*measurements)), noise_floor)


def decoded(*measurements: Measurement, noise_floor: NoiseFloor = lambda _model, _metric: None) -> Duel:
    found = duels_of(*measurements, noise_floor=noise_floor).between("a", "b", DECODE)
    assert found is not None
    return found


def test_twice_the_speed_is_a_difference_in_both_directions() -> None:
    """The duel of b beside a says better, that of a beside b says worse."""
    held = duels_of(chat("a", 40), chat("b", 80))
    there, back = held.between("a", "b", DECODE), held.between("b", "a", DECODE)
    assert there is not None
    assert back is not None
    assert (there.verdict, back.verdict) == (BETTER, WORSE)
    assert math.exp(there.change) == pytest.approx(2, rel=0.05)


def test_a_fifth_more_speed_is_no_difference_on_a_machine_whose_noise_nobody_measured() -> None:
    """However sure the repetitions of one start are, two starts differ by as much."""
    found = decoded(chat("a", 50, cpu_s=0.02), chat("b", 60, cpu_s=0.01))
    assert found.p_corrected < 0.001
    assert found.verdict == TIE


def test_a_fifth_more_speed_is_a_difference_where_the_noise_is_known_to_be_small() -> None:
    """A noise floor of 5 % that was measured for both models lets 20 % through."""
    found = decoded(chat("a", 50), chat("b", 60), noise_floor=lambda _model, _metric: 0.05)
    assert found.verdict == BETTER


def test_a_machine_that_became_slow_is_not_taken_for_a_slow_model() -> None:
    """Half the speed by the clock at the same CPU time a token is the machine's mood, and the duel says so."""
    found = decoded(chat("a", 80, cpu_s=0.0125), chat("b", 40, cpu_s=0.0127))
    assert found.verdict == TIE
    assert "CPU time" in found.why


def test_more_threads_may_be_faster_at_the_same_cpu_time() -> None:
    """CPU time contradicts only where both were served by as many threads."""
    found = decoded(chat("a", 40, cpu_s=0.025), chat("b", 80, cpu_s=0.025, subject={"threads": 2}))
    assert found.verdict == BETTER


def test_measurements_of_other_loads_are_not_compared() -> None:
    """Other settings of the profile are another question, and the duel says so."""
    found = duels_of(exam("a", [True] * 20), exam("b", [False] * 20, temperature=1)).between("a", "b", ACCURACY)
    assert found is not None
    assert (found.verdict, found.why) == (NOT_COMPARED, "another load was sent")


def test_answers_are_compared_question_by_question() -> None:
    """Of 60 questions 30 lost and none won is a sure loss of half."""
    found = duels_of(exam("a", [True] * 60), exam("b", [i % 2 == 0 for i in range(60)])).between("a", "b", ACCURACY)
    assert found is not None
    assert (found.verdict, found.change, found.n) == (WORSE, -0.5, 60)


def test_six_questions_tell_nothing() -> None:
    """The exact test of six questions that all changed stands above 5 % beside the other comparisons."""
    held = duels_of(exam("a", [True] * 6), exam("b", [False] * 6), chat("a", 50), chat("b", 50))
    found = held.between("a", "b", ACCURACY)
    assert found is not None
    assert found.verdict == TIE


def test_categories_are_compared_between_quantizations_of_one_model_only() -> None:
    """A model beside another one has no parts; two of its quantizations have all five."""
    quants = duels_of(exam("m:Q8_0", share_right(0.8, 100)), exam("m:Q2_K", share_right(0.5, 100)))
    assert {each.part for each in quants.parts("m:Q8_0", "m:Q2_K")} == {"maths", "reading", "logic", "format", "facts"}
    assert not duels_of(exam("a:Q8_0", [True] * 50), exam("b:Q8_0", [False] * 50)).parts("a:Q8_0", "b:Q8_0")


def _moody(chance: random.Random, models: int, *, mood: float) -> Iterator[Measurement]:
    """The same model under several names, on a machine whose speed differs from measurement to measurement.

    CPU time differs by 3 %, as blocks did in the recording of `benchmarks/gates.py`, where speeds differed by 43 %.
    """
    for name in "abcde"[:models]:
        wall = chance.lognormvariate(0, mood)
        cpu_s = 0.02 * chance.lognormvariate(0, 0.03)
        yield chat(name, 50 * wall, n=10, cpu_s=cpu_s, ttft_s=0.2 / wall, chance=chance)
        yield documents(name, 2 / wall, n=6, cpu_s=0.02 * chance.lognormvariate(0, 0.03), chance=chance)
        yield exam(name, [chance.random() < 0.4 for _ in range(20)])


@pytest.mark.parametrize("mood", [0.05, 0.15, 0.43])
def test_one_model_under_three_names_is_told_apart_in_one_run_of_twenty_at_most(mood: float) -> None:
    """A/A by simulation: over 200 short runs of equal models anything at all is called different in at most 5 %."""
    chance, false = random.Random(20261122), 0
    for _ in range(200):
        held = duels_of(*_moody(chance, 3, mood=mood))
        pairs = [("a", "b"), ("a", "c"), ("b", "c")]
        false += any(duel.verdict in {WORSE, BETTER} for pair in pairs for duel in held.of(*pair))
    assert false <= 10


def test_two_names_of_one_model_are_ties_for_every_use() -> None:
    """Over ten short runs of one model under two names at most one pick says that one of them is ahead."""
    chance, ahead = random.Random(3), 0
    for _ in range(10):
        advice = recommendations(a_run(*_moody(chance, 2, mood=0.1)))
        ahead += any("ahead" in pick.sentence for pick in advice.picks)
    assert ahead <= 1


def test_every_pair_is_corrected_for_all_the_others() -> None:
    """Three models with speeds, documents and answers make 3 x 4 tests, and p-values grow accordingly."""
    held = duels_of(*_moody(random.Random(1), 3, mood=0.05))
    assert held.tested == 12
    tested = [duel for pair in (("a", "b"), ("a", "c"), ("b", "c")) for duel in held.of(*pair)]
    assert all(duel.p_corrected >= duel.p_value for duel in tested)
    assert {duel.criterion for duel in tested} < set(TESTED)


def test_comparisons_are_told_alike_from_both_sides_and_in_any_order() -> None:
    """Made when they are asked for: whichever side is asked for first, and however often."""
    measured = [chat("a:Q8_0", 50), exam("a:Q8_0", share_right(0.9, 60))]
    measured += [chat("a:Q4_0", 90), exam("a:Q4_0", share_right(0.4, 60))]
    one, other = "a:Q8_0", "a:Q4_0"
    first, second = duels_of(*measured), duels_of(*measured)
    there, back = first.between(one, other, ACCURACY), first.between(other, one, ACCURACY)
    turned, straight = second.between(other, one, ACCURACY), second.between(one, other, ACCURACY)
    assert (there, back) == (straight, turned)
    assert there is not None
    assert back == there.turned()
    assert (there.verdict, there.turned().verdict) == (WORSE, BETTER)
    assert [each.part for each in first.parts(one, other)] == [each.part for each in first.parts(other, one)]
    assert len(first.parts(one, other)) == 5
    assert len(first.of(other, one)) == len(first.of(one, other))
