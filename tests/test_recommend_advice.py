"""What is recommended for which use, what is told to be a tie, and what to beware of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from advice_runs import CATEGORIES, a_run, chat, documents, endured, exam, letters, share_right

from pytest_llmbench.errors import UsageError
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Cell, CellState, Measurement, MonitorSample, Run
from pytest_llmbench.results.recommend import recommendations
from pytest_llmbench.results.recommendations import Advice, Constraints, Pick
from pytest_llmbench.results.uses import USES


def picked(advice: Advice, use: str) -> Pick:
    return next(each for each in advice.picks if each.use == use)


def kinds(advice: Advice) -> set[tuple[str, str]]:
    return {(each.configuration, each.kind) for each in advice.warnings}


def test_a_run_without_measurements_gives_no_advice() -> None:
    """Nothing was measured: nothing is said, and nothing is shown."""
    advice = recommendations(a_run())
    assert advice == Advice()
    assert advice.is_empty


def test_of_two_that_cannot_be_told_apart_the_smaller_one_is_taken_and_both_are_named() -> None:
    """Twelve requests of equal speed, and 40 % less memory: the smaller one, with the tie told."""
    advice = recommendations(a_run(chat("big", 52, n=12, memory=500e6), chat("small", 50, n=12, memory=300e6)))
    pick = picked(advice, "chat")
    assert (pick.configuration, pick.ties) == ("small", ("big",))
    assert "no difference from big was shown" in pick.sentence
    assert "(12 requests)" in pick.sentence
    assert "the smaller one" in pick.sentence


def test_without_a_known_size_nobody_is_called_the_smaller_one() -> None:
    """Somebody else's servers that tell no memory: the better figure is taken, and that is said."""
    bare = [replace(chat(name, tps), scalars={}) for name, tps in (("lab/a", 50), ("lab/b", 52))]
    pick = picked(recommendations(a_run(*bare)), "chat")
    assert "nobody tells how much memory they take" in pick.sentence


def test_sizes_that_foreign_servers_tell_decide_ties() -> None:
    """Ollama tells the memory of a loaded model, its quantization and its number of parameters."""
    told = {"memory_bytes": 5e9, "size_bytes": 4_000_000_000, "quantization": "q4_0", "parameter_count": 8_000_000_000}
    large = replace(chat("lab/large", 50), scalars={}, server={"engine": "external", "details": told})
    small = replace(large, id="small", model="lab/small", server={"details": {**told, "memory_bytes": 2e9}})
    advice = recommendations(a_run(large, small), Constraints(max_memory_bytes=3_000_000_000))
    assert picked(advice, "chat").configuration == "lab/small"
    assert [each.configuration for each in advice.left_out] == ["lab/large"]
    assert picked(recommendations(a_run(large, small)), "chat").sentence.endswith("it is the smaller one")


def test_chat_prefers_better_answers_among_those_that_are_quick_enough() -> None:
    """Twice the speed of near instant counts for less than surely better answers."""
    fast, good = chat("fast", 160), chat("good", 80)
    advice = recommendations(a_run(fast, good, exam("fast", [False] * 100), exam("good", [True] * 100)))
    pick = picked(advice, "chat")
    assert pick.configuration == "good"
    assert "surely ahead of fast in right answers" in pick.sentence
    assert any("points worse than good" in each for each in pick.why_not)


def test_unscored_answers_do_not_win_against_scored_ones() -> None:
    """Smaller and as fast, of a run that was broken off before its questions: nobody knows what it is worth."""
    scored = chat("scored", 50, memory=400e6), exam("scored", share_right(0.6, 100))
    pick = picked(recommendations(a_run(*scored, chat("unknown", 52, memory=200e6))), "chat")
    assert pick.configuration == "scored"
    assert "unknown: its answers were not scored (profile quality), and those of others were" in pick.why_not


def test_what_was_far_less_often_right_wins_neither_by_its_speed_nor_by_its_size() -> None:
    """8 of 20 against none of 20: beside other comparisons no sure difference, and nobody would choose the latter."""
    wrong = chat("wrong", 80, memory=100e6), exam("wrong", [False] * 20)
    right = chat("right", 50, memory=400e6), exam("right", [place % 5 < 2 for place in range(20)])
    others = [chat(f"other {n}", 50, memory=500e6) for n in range(6)]
    more = [exam(f"other {n}", [place % 5 < 2 for place in range(20)]) for n in range(6)]
    advice = recommendations(a_run(*wrong, *right, *others, *more))
    for use in ("chat", "quality", "balanced"):
        pick = advice.balanced if use == "balanced" else picked(advice, use)
        assert pick is not None
        assert pick.configuration not in {"wrong", ""}
        assert "wrong" not in pick.ties
    pick = picked(advice, "chat")
    assert "passed over is wrong, far less often right here, which chance may explain" in pick.sentence
    assert "wrong: accuracy 0 % against 40 % of right, which chance may explain" in pick.why_not
    assert "no difference of right answers below" in pick.thin


@pytest.mark.parametrize(
    ("n", "best", "other"),
    [(9, 7, 5), (10, 9, 7), (20, 17, 15), (20, 16, 14), (20, 8, 6), (100, 50, 40), (100, 33, 23)],
)
def test_two_answers_more_or_ten_points_decide_nothing(n: int, best: int, other: int) -> None:
    """So much the next run may turn around; whatever the rounding of shares says."""
    right, less = [place < best for place in range(n)], [(place + n // 2) % n < other for place in range(n)]
    few = exam("a", right), exam("b", less, memory=100e6)
    assert picked(recommendations(a_run(*few)), "quality").configuration == "b"


def test_answers_to_other_questions_are_no_reason_to_pass_over() -> None:
    """Another seed draws others: the two are not compared, and neither is put behind."""
    one = exam("a", [True] * 15 + [False] * 5, seed=1)
    other = exam("b", [True] * 5 + [False] * 15, memory=100e6, seed=2)
    pick = picked(recommendations(a_run(one, other)), "quality")
    assert "passed over" not in pick.sentence
    assert "is not compared" in pick.thin


def test_the_best_balanced_is_never_passed_over_for_what_it_makes_up_by_its_speed() -> None:
    """12 of 20 at 30 tokens a second are more than 15 of 20 at 20."""
    asked = range(20)
    measured = chat("x", 30), exam("x", [n < 12 for n in asked]), chat("y", 20), exam("y", [n < 15 for n in asked])
    balanced = recommendations(a_run(*measured)).balanced
    assert balanced is not None
    assert balanced.configuration == "x"


def test_chat_leaves_out_what_is_too_slow_to_read_along() -> None:
    """Four tokens a second are poor by the metrics table: right answers do not make up for that."""
    measured = chat("slow", 4), chat("quick", 40), exam("slow", [True] * 100), exam("quick", [False] * 100)
    pick = picked(recommendations(a_run(*measured)), "chat")
    assert pick.configuration == "quick"
    assert any("slow: decode speed 4" in each and "rated poor" in each for each in pick.why_not)


def test_where_none_is_quick_enough_the_nearest_is_named_and_so_is_the_want() -> None:
    """All are poor: the best of them, and the sentence says that none is fit."""
    pick = picked(recommendations(a_run(chat("slow", 4), chat("slower", 2))), "chat")
    assert pick.configuration == "slow"
    assert "none is fit for chat here" in pick.sentence


def test_two_equals_on_both_sides_of_a_mark_are_both_fit() -> None:
    """9.9 and 10.3 tokens a second with 10 as the mark: no difference was shown, so neither is out."""
    pick = picked(recommendations(a_run(chat("below", 9.8), chat("above", 10.4))), "chat")
    assert {pick.configuration, *pick.ties} == {"below", "above"}


def test_long_documents_go_to_the_largest_context_first() -> None:
    """Twice the context beats a faster reader of less."""
    advice = recommendations(a_run(letters("short", [1024, 4096], tps=900), letters("long", [1024, 4096, 8192])))
    pick = picked(advice, "long_documents")
    assert pick.configuration == "long"
    assert any("short: largest context 4,096 tokens against 8,192 tokens of long" in each for each in pick.why_not)


def test_batch_work_goes_by_documents_an_hour() -> None:
    """Three times as many an hour is called, with the figures beside it."""
    pick = picked(recommendations(a_run(documents("quick", 2), documents("slow", 6))), "batch")
    assert pick.configuration == "quick"
    assert any("per hour" in each for each in pick.evidence)


def test_unattended_work_needs_what_does_not_slow_down() -> None:
    """A load that lost 40 % of its speed is out, however fast it began."""
    advice = recommendations(a_run(endured("fading", 90, slowing=0.4), endured("steady", 40)))
    pick = picked(advice, "unattended")
    assert pick.configuration == "steady"
    assert ("fading", "slowing") in kinds(advice)
    assert any("its speed fell" in each for each in pick.why_not)


def test_one_measured_alone_is_named_with_how_thin_that_is() -> None:
    """There was nothing to choose from, and the pick says so."""
    pick = picked(recommendations(a_run(endured("only", 50), chat("only", 50))), "unattended")
    assert pick.configuration == "only"
    assert "nothing else was measured for it" in pick.thin
    assert "answers were not scored" in pick.thin


def test_a_use_whose_profile_was_not_measured_has_no_pick_and_says_why() -> None:
    """Only speeds: nothing can be said of quality work."""
    pick = picked(recommendations(a_run(chat("a", 50))), "quality")
    assert pick.configuration == ""
    assert "the profile quality was measured of none" in pick.sentence


def test_few_questions_are_told_with_what_they_would_have_shown() -> None:
    """Twenty questions and a tie: thin, and from which difference on it would have shown."""
    advice = recommendations(a_run(exam("a", share_right(0.5, 20)), exam("b", share_right(0.45, 20))))
    assert "only 20 questions" in picked(advice, "quality").thin
    assert "no difference of right answers below" in picked(advice, "quality").thin


def test_a_quantization_that_loses_maths_is_told_with_interval_and_advice() -> None:
    """200 questions, all maths lost: a sentence with points, interval, n and what it means."""
    whole = [True] * 200
    lossy = [CATEGORIES[i % 5] != "maths" for i in range(200)]
    advice = recommendations(a_run(exam("m:Q8_0", whole), exam("m:Q2_K", lossy)))
    row = next(each for each in advice.comparisons if each.part == "maths")
    assert row.verdict == "worse"
    assert row.sentence.startswith("m:Q2_K loses 100 points of maths against Q8_0 (95 %: ")
    assert "n = 40, paired" in row.sentence
    assert row.sentence.endswith("avoid for numeric work")
    assert ("m:Q2_K", "degradation") in kinds(advice)
    reading = next(each for each in advice.comparisons if each.part == "reading")
    assert "no difference in accuracy (reading)" in reading.sentence
    assert "detectable at n = 40" in reading.sentence


def test_the_front_holds_trade_offs_and_leaves_out_what_is_beaten() -> None:
    """Better and slower stays beside worse and faster; what is worse in all three goes."""
    run = a_run(
        *(chat("good", 30, memory=600e6), exam("good", [True] * 100)),
        *(chat("fast", 90, memory=300e6), exam("fast", share_right(0.4, 100))),
        *(chat("lost", 25, memory=900e6), exam("lost", share_right(0.2, 100))),
    )
    advice = recommendations(run)
    assert advice.front == ("good", "fast")
    lost = next(each for each in advice.standings if each.configuration == "lost")
    assert set(lost.beaten_by) == {"good", "fast"}
    assert advice.balanced is not None
    assert advice.balanced.configuration == "good"


def test_speed_beyond_near_instant_does_not_outweigh_answers() -> None:
    """400 against 60 tokens a second: nobody reads either, and the better answers win the balance."""
    run = a_run(chat("quick", 400), exam("quick", share_right(0.5, 100)), chat("good", 60), exam("good", [True] * 100))
    advice = recommendations(run)
    assert advice.balanced is not None
    assert advice.balanced.configuration == "good"


def test_constraints_leave_out_with_the_numbers() -> None:
    """Memory and speed that were asked for: who does not keep them is named with both numbers."""
    run = a_run(chat("big", 90, memory=6 << 30), chat("slow", 12), chat("fit", 30))
    advice = recommendations(run, Constraints("chat", max_memory_bytes=4 << 30, min_tps=15))
    assert [each.use for each in advice.picks] == ["chat"]
    assert picked(advice, "chat").configuration == "fit"
    told = {each.configuration: each.reason for each in advice.left_out}
    assert told["big"] == "it takes 6.0 GiB of memory, and 4.0 GiB are allowed"
    assert told["slow"].endswith("and 15 tok/s are asked for")


def test_where_nothing_keeps_the_constraints_nothing_is_recommended() -> None:
    """No configuration is left: no pick, and why for each."""
    pick = picked(recommendations(a_run(chat("a", 50)), Constraints("chat", min_tps=500)), "chat")
    assert pick.configuration == ""
    assert "none keeps what was asked for" in pick.sentence
    assert pick.why_not


def test_an_unknown_use_is_refused_with_the_known_ones() -> None:
    """A typing error is answered by the near name."""
    with pytest.raises(UsageError, match="unattended"):
        recommendations(a_run(chat("a", 50)), Constraints("unatended"))


def test_families_of_one_size_class_are_compared() -> None:
    """135 and 270 million parameters are of one class; a sentence says which answers better."""
    run = a_run(exam("smollm2-135m:Q8_0", share_right(0.3, 100)), exam("gemma3-270m:Q4_K_M", [True] * 100))
    classes = recommendations(run).families
    assert [each.title for each in classes] == ["up to 0.5 billion parameters"]
    assert {row.family for row in classes[0].rows} == {"smollm2-135m", "gemma3-270m"}
    assert any("points" in each for each in classes[0].sentences)


def test_what_could_not_be_loaded_is_left_out_with_its_reason() -> None:
    """A skipped configuration stands among the left out, in the words of its cell."""
    cell = Cell(
        "k", 0, "huge:Q8_0", "default", {}, "interactive", str(CellState.SKIPPED), "memory", "needs 40 GiB, 6 are free"
    )
    advice = recommendations(a_run(chat("a", 50), cells=[cell]))
    assert [(each.configuration, each.reason) for each in advice.left_out] == [
        ("huge:Q8_0", "needs 40 GiB, 6 are free")
    ]


def test_of_a_reason_with_a_log_below_it_the_first_line_is_told() -> None:
    """The end of a server's log stands in the report of its cell, not in every list."""
    cell = Cell(
        "k", 0, "bad:Q8_0", "default", {}, "interactive", "skipped", "load_failed", "it did not start\nlog line"
    )
    assert recommendations(a_run(chat("a", 50), cells=[cell])).left_out[0].reason == "it did not start"


def test_what_the_matrix_found_beyond_its_limits_is_not_fit() -> None:
    """A project asked for 100 tokens a second of each: who has 50 is out for that use."""
    slow, quick = _called(chat("slow", 50, memory=1e8), "s"), _called(chat("quick", 150), "q")
    reason = "it ran at 50 tokens/s (limit 100)"
    cells = [
        Cell("1", 0, "slow", "", {}, "interactive", "measured", "poor", reason, measurement_id="s"),
        Cell("2", 1, "quick", "", {}, "interactive", "measured", measurement_id="q"),
    ]
    pick = picked(recommendations(a_run(slow, quick, cells=cells)), "chat")
    assert pick.configuration == "quick"
    assert f"slow: {reason}" in pick.why_not


def test_measurements_belong_to_the_configuration_of_their_cell() -> None:
    """Two sets of server settings of one model are two configurations."""
    one, two = chat("m:Q4_0", 40), chat("m:Q4_0", 90, subject={"threads": 2})
    cells = [
        Cell("1", 0, "m:Q4_0", "default", {}, "interactive", measurement_id="one"),
        Cell("2", 1, "m:Q4_0", "wide", {"threads": 2}, "interactive", measurement_id="two"),
    ]
    advice = recommendations(a_run(_called(one, "one"), _called(two, "two"), cells=cells))
    assert {each.configuration for each in advice.standings} == {"m:Q4_0", "m:Q4_0-wide"}
    assert picked(advice, "chat").configuration == "m:Q4_0-wide"


def test_the_same_file_under_two_names_is_told() -> None:
    """One hash, two names: whatever differs is chance, and a reader should know."""
    one, two = chat("a", 50, subject={"sha256": "f"}), chat("b", 51, subject={"sha256": "f"})
    assert ("b", "same_file") in kinds(recommendations(a_run(one, two)))


def test_a_requantized_file_is_named_as_such() -> None:
    """What was made from Q4_1 cannot be better than that."""
    found = recommendations(a_run(chat("m:Q8_0 (requantized from Q4_1)", 50), chat("m:Q4_1", 60)))
    told = next(each for each in found.warnings if each.kind == "requantized")
    assert "made from Q4_1" in told.sentence


def test_swapping_throttling_and_heat_are_told_with_their_numbers() -> None:
    """The system monitor saw all three under load."""
    samples = [
        MonitorSample(float(i), {"swap_out_bytes": i * 4e6, "throttled": float(i // 20), "temperature_c": 80 + i / 5})
        for i in range(60)
    ]
    advice = recommendations(a_run(endured("hot", 40, samples=samples), endured("cool", 40)))
    assert {("hot", "swapping"), ("hot", "throttling"), ("hot", "heat")} <= kinds(advice)
    assert any("92 °C" in each.sentence for each in advice.warnings)
    assert picked(advice, "unattended").configuration == "cool"


def test_times_that_others_disturbed_are_told_once_a_configuration() -> None:
    """Half of the requests of two profiles: one caution with both counts; answers are no times."""
    busy = [
        replace(each, repetitions=tuple(replace(r, dirty="others") if r.index % 2 else r for r in each.repetitions))
        for each in (chat("a", 50), documents("a", 2), exam("a", [True] * 20))
    ]
    told = [each for each in recommendations(a_run(*busy, chat("b", 50))).warnings if each.kind == "disturbed"]
    assert [each.configuration for each in told] == ["a"]
    assert "(interactive 10 of 20, batch 4 of 8)" in told[0].sentence


def test_a_load_that_was_ended_early_is_not_for_unattended_work() -> None:
    """The machine ran out of memory: out, with the reason."""
    advice = recommendations(a_run(endured("a", 40, aborted="97 % of the memory is used"), endured("b", 40)))
    assert picked(advice, "unattended").configuration == "b"
    assert any("97 % of the memory" in each for each in picked(advice, "unattended").why_not)


def test_advice_survives_the_way_through_builtin_types() -> None:
    """What `--json` prints reads back as the same record."""
    run = a_run(chat("a", 50), chat("b", 90), exam("a", [True] * 40), exam("b", share_right(0.5, 40)))
    advice = recommendations(run)
    assert Advice.from_dict(advice.as_dict()) == advice


def test_the_constraints_do_not_change_what_is_a_difference() -> None:
    """P-values are corrected over all that was measured, whoever is left out later."""
    run: Run = a_run(chat("a", 50), chat("b", 90), chat("c", 20))
    assert recommendations(run).tested == recommendations(run, Constraints("chat", min_tps=30)).tested


def _called(measurement: Measurement, name: str) -> Measurement:
    return replace(measurement, id=name)


def test_the_documentation_names_every_use_with_its_criteria_in_order() -> None:
    """The table of the explanation says what the code does."""
    page = (Path(__file__).parents[1] / "docs" / "explanation" / "recommendations.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")
    ]
    told = {row[0]: (row[1], row[-1]) for row in rows}
    for use in USES.values():
        titles = ", ".join(METRICS[each.metric].title for each in use.criteria)
        assert told[use.title] == (f"`{use.profile}`", titles)
