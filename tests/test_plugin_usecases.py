"""A folder with a page is collected as tests: one a model and sample, asked ahead, scored, stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suite_runs import gates, stored_run
from usecase_suites import asked, page, provider, usecase

from pytest_llmbench.demo import Answer


def outcomes(pytester: pytest.Pytester) -> dict[str, str]:
    return {result.sample: result.outcome for result in stored_run(pytester).results}


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_each_sample_is_a_test_whose_reply_is_scored_and_stored(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    """Right and wrong samples are stored with what their validators said; -n changes nothing."""
    usecase(
        pytester.path, 6, "validators: [exact, contains]\ntags: [loud]", kind=lambda n: "even" if n % 2 == 0 else "odd"
    )
    with provider(pytester.path, lambda body: Answer(body["messages"][-1]["content"].upper().replace("5", "6"))) as lab:
        result = pytester.runpytest_subprocess("shout", *arguments)
    assert result.ret == 1, result.stdout.str()
    run = stored_run(pytester)
    assert outcomes(pytester) == {f"s{n}": "wrong" if n == 5 else "right" for n in range(6)}
    assert asked(lab) == [f"say {n}" for n in range(6)]
    [wrong] = [each for each in run.results if each.sample == "s5"]
    assert wrong.key == "shout/USE-CASE.md::shout[lab/m-s5]"
    assert "exact: the reply is not 'SAY 5'" in wrong.message
    found = wrong.evaluation
    assert found is not None
    assert (found.use_case, found.title, found.page) == ("shout", "Shouting", "shout/USE-CASE.md")
    assert (found.value, found.passed, found.expected, found.tags) == (0.0, False, "SAY 5", ("loud",))
    assert [(score.name, score.passed) for score in found.scores] == [("exact", False), ("contains", False)]
    assert found.trials[0].reply_ids == wrong.reply_ids
    assert found.prompt_mode == "fair"
    assert len(found.prompt_version) == 12


def test_a_wrong_reply_is_told_without_a_traceback(pytester: pytest.Pytester) -> None:
    """The failure names the validator, why, and what came; none of our lines stands in it."""
    usecase(pytester.path, 1, "validators: [exact]")
    with provider(pytester.path, lambda _: Answer("whispered")):
        result = pytester.runpytest_subprocess("shout/USE-CASE.md")
    result.stdout.fnmatch_lines(["*exact: the reply is not 'SAY 0'*", "*the reply: 'whispered'*"])
    result.stdout.no_fnmatch_line("*evaluations*")


@pytest.mark.slow
def test_ids_are_the_same_for_every_way_to_choose(pytester: pytest.Pytester) -> None:
    """A folder, its page, a node id, -k and --lf."""
    usecase(pytester.path, 3)
    with provider(
        pytester.path, lambda body: Answer("SAY 1" if "1" in body["messages"][-1]["content"] else "no")
    ) as lab:
        seen = pytester.runpytest_subprocess("--collect-only", "-q", "shout")
        seen.stdout.fnmatch_lines([f"shout/USE-CASE.md::shout[[]lab/m-s{n}[]]" for n in range(3)])
        assert asked(lab) == []
        pytester.runpytest_subprocess("shout/USE-CASE.md::shout[lab/m-s1]").assert_outcomes(passed=1)
        pytester.runpytest_subprocess("shout", "-k", "s1 or s2").assert_outcomes(passed=1, failed=1)
        pytester.runpytest_subprocess("--lf").assert_outcomes(failed=1)
        pytester.runpytest_subprocess().assert_outcomes(passed=1, failed=2)


def test_models_are_those_of_the_call_or_of_the_page(pytester: pytest.Pytester) -> None:
    """`--llmbench-models` asks these instead; a page without any is refused with both ways to name some."""
    usecase(pytester.path, 2, "models: []")
    with provider(pytester.path):
        refused = pytester.runpytest_subprocess("shout")
        assert refused.ret == 2
        refused.stdout.fnmatch_lines(["*there is no model to ask*", "*front matter*--llmbench-models*"])
        pytester.runpytest_subprocess("shout", "--llmbench-models", "lab/m,lab/n").assert_outcomes(passed=4)
        unknown = pytester.runpytest_subprocess("shout", "--llmbench-models", "nobody/x")
    unknown.stdout.fnmatch_lines(["*nobody*"])
    assert unknown.ret == 2


def test_a_page_that_cannot_be_read_is_told_with_its_line_and_nothing_is_asked(pytester: pytest.Pytester) -> None:
    """Bad front matter, and bad data, before any call."""
    page(pytester.path / "a", {"data/x.jsonl": '{"input": "hi", "expected": "HI"}\n'}, "validatrs: [exact]")
    page(pytester.path / "b", {"data/x.jsonl": '{"id": "1", "input": "a"}\n{"id": "1", "input": "b"}\n'})
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*a/USE-CASE.md:3: *validatrs*", "*x.jsonl:2:*stands in line 1*"])
    assert asked(lab) == []


def test_a_page_that_is_none_of_ours_is_left_alone(pytester: pytest.Pytester) -> None:
    """A project may have a document of this name: it is told, and breaks nothing."""
    pytester.path.joinpath("USE-CASE.md").write_text("Our customers use this for lunch.\n")
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, warnings=1)


def test_what_is_wrong_with_expected_answers_is_warned_of_at_collection(pytester: pytest.Pytester) -> None:
    """Ground-truth lint: file and line; once, under xdist too."""
    usecase(pytester.path, 9, "validators: [{one-of: [SAY 0, SAY 1]}]")
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("--collect-only", "shout")
        result.stdout.fnmatch_lines(
            ["*GroundTruthWarning*", "*rows.jsonl:3: s2: one-of: *", "*and 2 more: llmbench usecase check*"]
        )
        refused = pytester.runpytest_subprocess("-W", "error::pytest_llmbench.GroundTruthWarning", "shout")
        assert refused.ret == 2
        refused.stdout.fnmatch_lines(["*rows.jsonl:3: s2: one-of: *"])
        assert asked(lab) == []
        parallel = pytester.runpytest_subprocess("-n", "2", "shout", "-k", "s0")
    assert parallel.stdout.str().count("GroundTruthWarning") == 1


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_what_the_lint_finds_can_be_an_error_that_ends_the_collection(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    """All findings of all files are told, none more than once, and nothing is asked; -n changes nothing."""
    usecase(pytester.path, 9, "validators: [{one-of: [SAY 0, SAY 1]}]")
    usecase(pytester.path / "other", 3, "name: other")
    story = "Story: Hello\nUser: Hi\nAssistant: /Hello|Hi/\n"
    pytester.path.joinpath("other", "shout", "hello.story.txt").write_text(story)
    with provider(pytester.path) as lab:
        # Without the summary: where the environment says CI, pytest tells all errors there once more.
        result = pytester.runpytest_subprocess("--llmbench-lint", "error", "-rN", *arguments)
        assert asked(lab) == []
    assert result.ret == 2
    told = result.stdout.str()
    assert [told.count(f"rows.jsonl:{n + 1}: s{n}: one-of: ") for n in range(9)] == [0, 0, 1, 1, 1, 1, 1, 1, 1]
    assert told.count("hello.story.txt:3: /Hello|Hi/") == 1
    assert "GroundTruthWarning" not in told


def test_a_marked_test_asks_nothing_either_where_the_lint_is_an_error(pytester: pytest.Pytester) -> None:
    """Also where the page itself is not collected."""
    folder = usecase(pytester.path, 9, "validators: [{one-of: [SAY 0, SAY 1]}]")
    code = "import pytest\n@pytest.mark.usecase\ndef test_it(reply): assert reply.text\n"
    folder.joinpath("test_shout.py").write_text(code)
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("--llmbench-lint", "error", "shout/test_shout.py")
        assert asked(lab) == []
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*look at what is expected:*", "*rows.jsonl:9: s8: one-of: *"])


def test_the_lint_can_be_left_out(pytester: pytest.Pytester) -> None:
    """Of data whose doubts are known."""
    usecase(pytester.path, 3, "validators: [{one-of: [SAY 0, SAY 1]}]")
    with provider(pytester.path):
        result = pytester.runpytest_subprocess("--llmbench-lint", "off", "-W", "error", "shout", "-k", "s0")
    result.assert_outcomes(passed=1, deselected=2)


def test_what_nothing_could_score_is_no_failure_and_no_success(pytester: pytest.Pytester) -> None:
    """A validator that fails itself says nothing of the model: UNSCORED, skipped in JUnit, and the exit code is 0."""
    usecase(pytester.path, 2, "validators: [exact, picky]")
    pytester.makeconftest(
        """
        from pytest_llmbench import validator

        @validator
        def picky(reply_text, sample):
            return 1 / int(sample.id[1:]) > 0
        """
    )
    with provider(pytester.path):
        result = pytester.runpytest_subprocess("-v", "-W", "ignore", "shout", "--junitxml", "junit.xml")
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["*[[]lab/m-s0[]] UNSCORED*", "*1 passed, 1 unscored*"])
    assert outcomes(pytester) == {"s0": "unscored", "s1": "right"}
    [told] = [each for each in stored_run(pytester).results if each.sample == "s0"]
    assert "picky: the validator failed: ZeroDivisionError" in told.message
    assert 'skipped="1"' in pytester.path.joinpath("junit.xml").read_text()


def test_with_gates_a_wrong_sample_fails_nothing_by_itself(pytester: pytest.Pytester) -> None:
    """The gate decides the exit code, over the rate with its interval: kept, failed, or too few samples to tell."""
    wrong = lambda body: Answer("no" if body["messages"][-1]["content"].endswith(("0", "1")) else "SAY 2")  # noqa: E731
    for limit, code, said in [(0.05, 0, "pass"), (0.999, 10, "fail"), (0.3, 13, "inconclusive")]:
        usecase(pytester.path, 3, f"validators: [exact]\ngates: [{{metric: pass_rate, min: {limit}}}]")
        with provider(pytester.path, wrong):
            result = pytester.runpytest_subprocess("-v", "shout", "--llmbench-inconclusive", "fail")
        assert result.ret == code, result.stdout.str()
        result.stdout.fnmatch_lines(["*[[]lab/m-s0[]] WRONG*"])
        [gate] = gates(pytester)
        assert (gate.verdict, gate.metric, gate.model, gate.n) == (said, "pass_rate", "lab/m", 3)
        assert gate.gate == f"shout, lab/m: pass_rate >= {100 * limit:g} %"


def test_gates_are_decided_under_xdist_as_well(pytester: pytest.Pytester) -> None:
    """The controller, which collects nothing, reads the pages that the results name."""
    usecase(pytester.path, 4, "validators: [exact]\ngates: [pass_rate >= 0.3, e2e_s max <= 60]")
    with provider(pytester.path):
        result = pytester.runpytest_subprocess("-n", "2", "shout")
    assert result.ret == 0, result.stdout.str()
    assert [(gate.metric, gate.verdict) for gate in gates(pytester)] == [
        ("pass_rate", "pass"),
        ("e2e_s", "pass"),
    ]


def test_repeats_are_trials_of_one_test(pytester: pytest.Pytester) -> None:
    """Each is asked and stored by itself, the reducer decides, and what is told is the deciding trial."""
    said = iter(["SAY 0", "no", "SAY 0"])
    usecase(pytester.path, 1, "validators: [exact]\nrepeats: 3\nreducer: majority")
    with provider(pytester.path, lambda _: Answer(next(said))) as lab:
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == 0, result.stdout.str()
    assert len(asked(lab)) == 3
    [told] = stored_run(pytester).results
    assert told.evaluation is not None
    assert sorted(str(trial.passed) for trial in told.evaluation.trials) == ["False", "True", "True"]
    assert (told.evaluation.value, told.evaluation.passed, len(set(told.reply_ids))) == (1.0, True, 3)
    assert told.evaluation.trials[told.evaluation.deciding].passed is True


@pytest.mark.slow
def test_sampling_of_the_call_is_nested_and_repeatable(pytester: pytest.Pytester) -> None:
    """--limit 4 lies within --limit 8, is the same again, and is stratified; another seed is another choice."""
    usecase(pytester.path, 40, kind=lambda n: "even" if n % 2 == 0 else "odd")

    def chosen(*arguments: str) -> set[str]:
        with provider(pytester.path):
            pytester.runpytest_subprocess("shout", *arguments)
        return set(outcomes(pytester))

    four = chosen("--llmbench-limit", "4", "--llmbench-stratify", "kind")
    assert four == chosen("--llmbench-limit", "4", "--llmbench-stratify", "kind")
    assert four < chosen("--llmbench-limit", "8", "--llmbench-stratify", "kind")
    assert sorted(int(each[1:]) % 2 for each in four) == [0, 0, 1, 1]
    assert four != chosen("--llmbench-limit", "4", "--llmbench-stratify", "kind", "--llmbench-seed", "7")
    assert {result.evaluation.weight for result in stored_run(pytester).results if result.evaluation} == {10.0}
    assert chosen("--llmbench-ids", "s3,s5") == {"s3", "s5"}
    weighted = chosen("--llmbench-limit", "4", "--llmbench-stratify", "kind", "--llmbench-weights", "even=3")
    assert sorted(int(each[1:]) % 2 for each in weighted) == [0, 0, 0, 1]


def test_what_a_limit_cannot_be_is_told_before_anything_is_asked(pytester: pytest.Pytester) -> None:
    """`--limit 0` is no limit; a declared seed can be overridden by 0."""
    usecase(pytester.path, 40, "sampling: {limit: 4, seed: 7}")
    with provider(pytester.path) as lab:
        refused = pytester.runpytest_subprocess("shout", "--llmbench-limit", "0")
        assert refused.ret == 4
        refused.stderr.fnmatch_lines(["*--llmbench-limit: limit = '0' must be a whole number, 1 or more*"])
        assert asked(lab) == []
        pytester.runpytest_subprocess("shout")
        declared = set(outcomes(pytester))
        pytester.runpytest_subprocess("shout", "--llmbench-seed", "0")
    assert set(outcomes(pytester)) != declared


def test_only_failing_asks_what_was_not_right_before(pytester: pytest.Pytester) -> None:
    """In the last run that asked any of the use case."""
    usecase(pytester.path, 5)
    with provider(pytester.path, lambda body: Answer(body["messages"][-1]["content"].upper().replace("3", "x"))):
        assert pytester.runpytest_subprocess("shout").ret == 1
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", "--llmbench-only-failing", "true")
    assert result.ret == 0, result.stdout.str()
    assert asked(lab) == ["say 3"]
    result.stdout.fnmatch_lines(["*1 sample: asked because it was not right before*"])


def test_a_reply_that_was_cut_at_its_limit_is_told_as_such(pytester: pytest.Pytester) -> None:
    """Beside what its validators say, and in the table: the limit is the user's, and not the model's mistake."""
    usecase(pytester.path, 2, "validators: [exact]\nrequest: {max_tokens: 2}")
    with provider(pytester.path, lambda body: Answer("SAY 0" if "0" in str(body["messages"]) else "I say that 1")):
        result = pytester.runpytest_subprocess("shout")
    result.stdout.fnmatch_lines(["exact: *", "the reply ended at its limit of tokens*", "the reply: 'I say*"])
    result.stdout.fnmatch_lines(["*1 sample: the reply ended at its limit of tokens*"])


def test_prompt_variants_are_compared_and_labelled(pytester: pytest.Pytester) -> None:
    """`--llmbench-prompt-variant each`: a test a variant; results are remembered for optimized mode."""
    variants = "prompt:\n  template: '{{input}}'\n  variants:\n    please: {template: 'please {{input}}'}\n"
    usecase(pytester.path, 12, variants)
    with provider(pytester.path) as lab:
        pytester.runpytest_subprocess("shout", "--llmbench-prompt-variant", "each").assert_outcomes(
            passed=12, failed=12
        )
        assert asked(lab)[0] == "please say 0"
        found = [result.evaluation for result in stored_run(pytester).results]
        assert {(each.prompt, each.value) for each in found if each} == {("base", 1.0), ("please", 0.0)}
        assert len({each.prompt_version for each in found if each}) == 2
        result = pytester.runpytest_subprocess("shout", "--llmbench-prompt-mode", "optimized")
    assert result.ret == 0, result.stdout.str()
    assert {
        (each.evaluation.prompt_mode, each.evaluation.prompt)
        for each in stored_run(pytester).results
        if each.evaluation
    } == {("optimized", "base")}


def test_a_model_that_does_not_take_pictures_is_refused_before_any_call(pytester: pytest.Pytester) -> None:
    """The file is named; other use cases are not asked either, as with any error of collection."""
    folder = page(pytester.path / "see", {"ground-truth/cat.txt": "a cat"}, "data: {each: file}\nmodels: [lab/blind]")
    picture = folder / "data" / "cat.png"
    picture.parent.mkdir()
    picture.write_bytes(bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489") + b"0" * 30)
    with provider(pytester.path) as lab:
        config = Path("llmbench.yaml")
        config.write_text(config.read_text() + "      blind: {capabilities: {images: false}}\n")
        result = pytester.runpytest_subprocess("see")
    assert result.ret == 2, result.stdout.str()
    result.stdout.fnmatch_lines(["*cat.png*lab/blind does not take images*nothing was asked*"])
    assert asked(lab) == []


def test_an_input_that_is_too_long_is_cut_and_merged(pytester: pytest.Pytester) -> None:
    """Pieces are asked ahead, their answers merged; the note and all calls stand with the result."""
    front = "validators: [{contains: END}]\nmodels: [lab/small]\nchunking: {by: paragraph, merge: concat}"
    text = "\n\n".join([*(f"Paragraph {n} has some words in it." for n in range(60)), "the end"])
    page(pytester.path / "long", {"data/r.jsonl": json.dumps({"id": "a", "input": text}) + "\n"}, front)
    with provider(pytester.path) as lab:
        config = Path("llmbench.yaml")
        config.write_text(config.read_text() + "      small: {context_tokens: 400}\n")
        result = pytester.runpytest_subprocess("long", "-W", "ignore")
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["*llmbench: long: the sample 'a' has *cut into * chunks*"])
    [told] = stored_run(pytester).results
    assert len(asked(lab)) == len(told.reply_ids) > 1
    assert told.evaluation is not None
    assert "cut into" in told.evaluation.notes[0]
    assert told.evaluation.trials[0].answer.endswith("THE END")
