"""What is kept of a prompt's past, and which variant it says is best."""

from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path

import pytest

from pytest_llmbench.errors import UsageError
from pytest_llmbench.prompts import Prompt
from pytest_llmbench.prompts.best import ENOUGH, best_variants, standings
from pytest_llmbench.prompts.differing import difference
from pytest_llmbench.prompts.history import History, Result
from pytest_llmbench.prompts.prompt import Variant
from pytest_llmbench.prompts.template import Template

SYSTEM = Template("Be kind.")
FIRST = Prompt(
    template=Template("{{input}}"),
    system=SYSTEM,
    variants={"terse": Variant(template=Template("{{input}}!"), system=SYSTEM)},
)
SECOND = dataclasses.replace(FIRST, template=Template("Please:\n{{input}}"), variables={"firm": "ACME"})


@pytest.fixture
def past(tmp_path) -> History:
    """The empty past of a use case."""
    return History(tmp_path, "triage")


def result(variant: str, mean: float, n: int = ENOUGH, prompt: Prompt = FIRST, **more) -> Result:
    """How a model did in a run."""
    known = {"run": "r1", "model": "demo/one", "mode": "fair", "whole": prompt.version, **more}
    return Result(variant=variant, version=prompt.named(variant).version, n=n, mean=mean, **known)


def test_each_version_is_kept_once_with_its_content(past):
    """However often it is asked."""
    for prompt in (FIRST, SECOND, FIRST):
        assert past.record(prompt) == prompt.version
    first, second = past.versions()
    assert (first.version, second.version) == (FIRST.version, SECOND.version)
    assert first.content == FIRST.content()
    assert first.at < second.at


def test_content_is_not_kept_where_prompts_are_not_to_be(past):
    """The version's name still tells that something changed."""
    past.record(FIRST, keep_content=False)
    [kept] = past.versions()
    assert (kept.version, kept.content) == (FIRST.version, {})


def test_a_version_is_found_by_the_beginning_of_its_name(past):
    """One that is none is told with those that are."""
    past.record(FIRST)
    assert past.version(FIRST.version[:5]).version == FIRST.version
    with pytest.raises(UsageError, match=FIRST.version):
        past.version("zzz")
    past.record(SECOND)
    with pytest.raises(UsageError, match="several versions"):
        past.version("")


def test_a_resumed_runs_results_stand_in_place_of_what_it_said_before(past):
    """The last line of a run, a model and a version counts."""
    past.record_results([result("base", 0.2, 3), result("base", 0.5, run="r2")])
    past.record_results([result("base", 0.9)])
    assert [(each.run, each.n, each.mean) for each in past.results()] == [("r1", ENOUGH, 0.9), ("r2", ENOUGH, 0.5)]


def test_a_line_that_a_killed_process_left_unfinished_costs_that_line_only(past, tmp_path):
    """What was written before is there, and so is what comes after."""
    past.record_results([result("base", 0.2)])
    file = tmp_path / "prompts" / "triage" / "results.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:40])
    past.record_results([result("terse", 0.4)])
    assert [each.mean for each in past.results()] == [0.2, 0.4]


def test_lines_of_a_later_version_of_ours_are_passed_over(past, tmp_path):
    """What cannot be read is no result."""
    past.record_results([result("base", 0.2)])
    with (tmp_path / "prompts" / "triage" / "results.jsonl").open("a") as file:
        file.write('{"run": "x", "future": true}\n[1]\nnull\n')
    assert len(past.results()) == 1


def _keep(folder: Path, number: int) -> None:
    past = History(folder, "triage")
    for _ in range(10):
        past.record(FIRST)
        past.record_results([result("base", 0.5, run=f"r{number}-{_}")])


def test_several_processes_may_keep_at_once(tmp_path, past):
    """Nothing is lost, and nothing stands there twice."""
    processes = [multiprocessing.get_context("spawn").Process(target=_keep, args=(tmp_path, n)) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(past.versions()) == 1
    assert len(past.results()) == 20


@pytest.mark.parametrize("name", ["../../outside", "a/b", "", ".", "\ud800", "x" * 300])
def test_no_name_of_a_use_case_leads_out_of_the_results_folder(tmp_path, name):
    """A name that could be no folder's is hashed."""
    folder = tmp_path / "results"
    History(folder, name).record(FIRST)
    assert [path.relative_to(folder).parts[0] for path in tmp_path.rglob("versions.jsonl")] == ["prompts"]
    assert len(History(folder, name).versions()) == 1


def test_a_difference_is_told_by_its_parts():
    """As people read it: what was taken away, what came."""
    lines = difference(FIRST.content(), SECOND.content(), ("old", "new"))
    changed = [line for line in lines if line[0] in "+-" and line != "+"]
    assert changed == ["--- old", "+++ new", "+Please:", "+# variables", '+firm: "ACME"']
    assert difference(FIRST.content(), FIRST.content(), ("old", "new")) == []


def test_the_variant_with_the_best_mean_over_all_runs_is_best():
    """Runs count by their samples; the reason tells the numbers."""
    results = [result("base", 0.5, 20), result("terse", 0.9, 10), result("terse", 0.3, 10, run="r2")]
    found = best_variants(FIRST, ["demo/one", "demo/two"], results)
    assert found == {"demo/one": ("terse", "best by stored results: base 0.500 (n=20), terse 0.600 (n=20)")}


def test_the_prompt_itself_is_best_where_a_variant_is_no_better():
    """A tie speaks for the plain one."""
    assert best_variants(FIRST, ["demo/one"], [result("base", 0.5), result("terse", 0.5)])["demo/one"][0] == "base"


def test_few_samples_or_one_variant_alone_tell_nothing():
    """The best of one is no best; nor is a variant tried on a handful."""
    assert best_variants(FIRST, ["demo/one"], [result("terse", 0.9)]) == {}
    assert best_variants(FIRST, ["demo/one"], [result("base", 0.5), result("terse", 0.9, ENOUGH - 1)]) == {}


def test_results_of_a_variant_before_it_was_edited_do_not_count():
    """They are of another prompt, which its version tells."""
    [base, terse] = standings(SECOND, "demo/one", [result("base", 0.5), result("terse", 0.9, prompt=SECOND)])
    assert (base.n, terse.n) == (0, ENOUGH)
