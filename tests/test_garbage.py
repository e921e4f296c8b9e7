"""Python's garbage collector, while a session of ours runs and after it."""

from __future__ import annotations

import gc
import weakref

import pytest

from pytest_llmbench import garbage


class Knot:
    """Refers to itself: only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


def breaking_off() -> None:
    with garbage.left_alone():
        assert not gc.isenabled()
        raise ZeroDivisionError


@pytest.mark.parametrize("enabled", [True, False])
def test_left_alone_it_collects_nothing_and_is_afterwards_as_before(enabled):
    """Also where somebody else has switched it off, and where the block fails."""
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ZeroDivisionError):
            breaking_off()
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_what_was_spared_is_collected_again_afterwards():
    """Nothing of a session outlives it in a process that runs several."""
    seen = weakref.ref(Knot())
    garbage.spare()
    try:
        gc.collect()
        assert seen() is not None
    finally:
        garbage.spare_no_longer()
    gc.collect()
    assert seen() is None


def test_a_session_of_ours_leaves_the_collector_as_it_was(pytester):
    """In process: nothing stays spared, and collections go on, as often as before."""
    before = gc.get_threshold()
    pytester.path.joinpath("rows.jsonl").write_text('{"id": "a", "input": "hello", "expected": "hello"}\n')
    pytester.makepyfile(
        """
        import gc, pytest

        @pytest.mark.dataset("rows.jsonl")
        def test_it(sample):
            assert gc.get_freeze_count() > 0
            assert gc.get_threshold()[0] > 10_000
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before
    assert gc.isenabled()
