"""Sampling: some of many samples, the same ones every time, and fewer always among more."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.config import strict_yaml
from pytest_llmbench.config.validating import validated
from pytest_llmbench.errors import ConfigError, UsageError
from pytest_llmbench.records import Sample, TestResult
from pytest_llmbench.sampling import Sampling, SamplingDef, failing_ids, of, told
from pytest_llmbench.sampling.choosing import MAX_STRATA


def data(**sizes: int) -> list[Sample]:
    """So many samples of each queue, mixed."""
    every = [
        Sample(f"{queue}{n}", "x", {"queue": queue}, {"queue": queue})
        for queue, size in sizes.items()
        for n in range(size)
    ]
    return sorted(every, key=lambda each: (len(each.id), each.id[1:], each.id))


def ids(sampling: Sampling, samples) -> list[str]:
    """The ids of what is chosen."""
    return [each.id for each in sampling.chosen(iter(samples))]


def counted(sampling: Sampling, samples) -> dict[str, int]:
    """How many of each queue are chosen."""
    return dict(Counter(each.metadata["queue"] for each in sampling.chosen(samples)))


MANY = data(a=900, b=90, c=10)


def test_without_a_choice_all_samples_pass_one_at_a_time():
    """A stream stays a stream."""
    read = []
    taken = Sampling().chosen(read.append(each.id) or each for each in MANY)
    assert next(taken) is MANY[0]
    assert read == [MANY[0].id]


def test_a_limit_is_kept_and_the_order_of_the_data_too():
    """Results are read beside the data."""
    chosen = ids(Sampling(limit=50), MANY)
    assert len(chosen) == 50
    everyone = [each.id for each in MANY]
    assert chosen == sorted(chosen, key=everyone.index)
    assert ids(Sampling(limit=5000), MANY) == everyone


small = st.integers(0, 40)


@given(sizes=st.tuples(small, small, small), low=st.integers(1, 130), more=st.integers(0, 130), seed=st.integers(0, 9))
@pytest.mark.parametrize("how", [{}, {"stratify": "queue"}, {"stratify": "queue", "weights": {"a": 3.5}}])
def test_fewer_are_always_among_more(how, sizes, low, more, seed):
    """Whatever the sizes of the strata are: 50 within 500, so that nothing asked is wasted."""
    samples = data(a=sizes[0] + 1, b=sizes[1], c=sizes[2])
    few = set(ids(Sampling(limit=low, seed=seed, **how), samples))
    many = set(ids(Sampling(limit=low + more, seed=seed, **how), samples))
    assert few <= many
    assert len(few) == min(low, len(samples))


@given(st.permutations(range(30)), st.integers(1, 30))
def test_the_order_of_the_data_does_not_matter(order, limit):
    """Sorting a file, or shuffling it, changes no choice."""
    samples = data(a=20, b=10)
    shuffled = [samples[i] for i in order]
    how = {"limit": limit, "stratify": "queue"}
    assert set(ids(Sampling(**how), samples)) == set(ids(Sampling(**how), shuffled))


def test_another_seed_is_another_choice_and_the_same_seed_the_same():
    """On every machine: the hash is ours to keep."""
    choices = {seed: ids(Sampling(limit=5, seed=seed), MANY) for seed in range(3)}
    assert len({tuple(each) for each in choices.values()}) == 3
    assert choices[0] == ids(Sampling(limit=5), MANY)
    assert choices[0] == ["a47", "b67", "a222", "a281", "a464"]


def test_each_value_gets_its_share_and_at_least_one_where_the_limit_allows():
    """A rare kind is what one stratifies for."""
    assert counted(Sampling(limit=100, stratify="queue"), MANY) == {"a": 90, "b": 9, "c": 1}
    assert counted(Sampling(limit=3, stratify="queue"), MANY) == {"a": 1, "b": 1, "c": 1}


def test_weights_multiply_a_values_share():
    """`equal` gives all the same, as far as the data have them."""
    assert counted(Sampling(limit=101, stratify="queue", weights={"b": 10}), MANY) == {"a": 50, "b": 50, "c": 1}
    assert counted(Sampling(limit=30, stratify="queue", weights="equal"), MANY) == {"a": 10, "b": 10, "c": 10}
    assert counted(Sampling(limit=100, stratify="queue", weights="equal"), MANY) == {"a": 45, "b": 45, "c": 10}


def test_what_each_chosen_sample_stands_for_is_told():
    """So that estimates can be weighted back to the data: the weights add up to its size."""
    drawn = Sampling(limit=100, stratify="queue", weights="equal").drawn(MANY)
    assert {value: (each.size, each.drawn) for value, each in drawn.strata.items()} == {
        "a": (900, 45),
        "b": (90, 45),
        "c": (10, 10),
    }
    assert sum(drawn.strata[each.metadata["queue"]].weight for each in drawn) == pytest.approx(len(MANY))


def test_the_expected_answer_and_its_keys_can_be_stratified_by():
    """The label is often in the answer only."""
    assert counted(Sampling(limit=3, stratify="expected.queue"), MANY) == {"a": 1, "b": 1, "c": 1}
    labels = [Sample(str(n), "x", "yes" if n % 10 else "no") for n in range(100)]
    assert {each.expected for each in Sampling(limit=2, stratify="expected").chosen(labels)} == {"yes", "no"}


def test_a_field_that_is_not_there_is_told():
    """With the sample and what it has."""
    with pytest.raises(UsageError, match=r"the sample 'a0' has no field 'queu'; did you mean 'queue'\?"):
        list(Sampling(limit=3, stratify="queu").chosen(MANY))


def test_a_field_with_too_many_values_is_told():
    """A text of its own for every sample is no stratum."""
    samples = [Sample(str(n), "x", metadata={"text": str(n)}) for n in range(MAX_STRATA + 1)]
    with pytest.raises(UsageError, match="more than 1000 values"):
        list(Sampling(limit=3, stratify="text").chosen(samples))


def test_a_weight_for_a_value_that_no_sample_has_is_told():
    """A misspelt value would silently weigh nothing."""
    with pytest.raises(UsageError, match=r"no sample has 'refnud' as its 'queue'; did you mean 'refund'"):
        list(Sampling(limit=3, stratify="queue", weights={"refnud": 2}).chosen(data(refund=3)))


def test_samples_can_be_asked_for_by_id():
    """In the order of the data; one that is not there is told."""
    assert ids(Sampling(ids=("c1", "a7")), MANY) == ["a7", "c1"] or ids(Sampling(ids=("c1", "a7")), MANY) == [
        "c1",
        "a7",
    ]
    with pytest.raises(UsageError, match="no sample with the id 'c10'; did you mean 'c1'"):
        ids(Sampling(ids=("c10",)), data(c=2))


def test_only_those_that_failed_before():
    """Together with a limit, at most that many of them; ids that are gone from the data do not matter."""
    again = Sampling(failing=frozenset({"b3", "c2", "gone"}))
    assert set(ids(again, MANY)) == {"b3", "c2"}
    assert len(ids(again.narrowed(limit=1), MANY)) == 1


def test_failing_is_all_that_was_asked_and_not_right():
    """An infra error is asked again as well as a wrong answer; what was skipped or waits was not asked."""
    outcomes = ("right", "wrong", "unscored", "infra_error", "over_budget", "test_error", "skipped", "pending")
    results = [TestResult(f"n{one}", f"k{one}", one, sample=one) for one in outcomes]
    assert failing_ids([*results, TestResult("n", "k", "wrong")]) == set(outcomes[1:6])


def test_the_command_line_outranks_the_use_case():
    """Options that are not given leave things as they are; weights belong to the field they were declared for."""
    declared = Sampling(limit=10, seed=3, stratify="queue", weights={"a": 2.0})
    settings = {"limit": None, "seed": None, "stratify": "", "weights": None, "ids": ()}
    assert told(declared, _settings(**settings)) == declared
    assert told(declared, _settings(**{**settings, "limit": 5, "seed": 4})).narrowed(limit=10, seed=3) == declared
    other = told(declared, _settings(**{**settings, "stratify": "lang"}), failing={"x"})
    assert (other.stratify, other.weights, other.failing) == ("lang", {}, {"x"})
    assert told(declared, _settings(**{**settings, "stratify": "queue"})) == declared
    assert told(declared, _settings(**{**settings, "weights": {"b": 3.0}})).weights == {"b": 3.0}
    assert told(declared, _settings(**{**settings, "stratify": "lang", "weights": "equal"})).weights == "equal"


def test_the_command_line_can_ask_for_the_first_seed_of_all():
    """0 is a seed, not the absence of one."""
    settings = {"limit": None, "seed": 0, "stratify": "", "weights": None, "ids": ()}
    assert told(Sampling(seed=3), _settings(**settings)).seed == 0


def test_weights_of_the_command_line_need_a_field():
    """They would be ignored without a word."""
    settings = {"limit": 5, "seed": None, "stratify": "", "weights": {"a": 2.0}, "ids": ()}
    with pytest.raises(UsageError, match=r"weights belong to values of a field\n.*--llmbench-stratify"):
        told(Sampling(), _settings(**settings))


def _settings(**values):
    """Settings as far as sampling reads them."""
    from types import SimpleNamespace

    return SimpleNamespace(**values)


def test_choosing_from_very_many_holds_only_what_may_be_chosen():
    """A file of millions is streamed; memory goes with the limit."""
    stream = (Sample(f"s{n}", "x" * 200, metadata={"kind": str(n % 3)}) for n in range(30_000))
    tracemalloc.start()
    chosen = list(Sampling(limit=20, stratify="kind").chosen(stream))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(chosen) == 20
    assert peak < 1_000_000


def test_the_front_matter_says_all_of_it():
    """As YAML has it."""
    text = "{limit: 50, seed: 7, stratify: queue, weights: {a: 2}, ids: [x, y]}"
    found = of(validated(SamplingDef, strict_yaml.parse(text, "USE-CASE.md")))
    assert found == Sampling(limit=50, seed=7, stratify="queue", weights={"a": 2.0}, ids=("x", "y"))
    assert of(SamplingDef()) == Sampling()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limit: 0", "limit: "),
        ("limti: 5", "unknown key; did you mean 'limit'?"),
        ("weights: {a: 2}", "weights: weights belong to values of a field"),
        ("{stratify: queue, weights: {a: 0}}", "weights"),
        ("{stratify: queue, weights: even}", "weights"),
    ],
)
def test_a_mistake_in_the_front_matter_is_told_with_its_place(text, said):
    """File, line and key."""
    with pytest.raises(ConfigError) as refused:
        validated(SamplingDef, strict_yaml.parse(text, "USE-CASE.md"))
    assert str(refused.value).startswith("USE-CASE.md:1: ")
    assert said in str(refused.value)
