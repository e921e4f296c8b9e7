"""`llmbench power`."""

from __future__ import annotations

import json

import pytest

from pytest_llmbench.cli import main
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.stats.power import MeanStudy, RateStudy, RatioStudy, n_for, smallest_effect


def told(capsys, *words: str) -> dict:
    assert main(["power", *words, "--json"]) == ExitCode.OK
    return json.loads(capsys.readouterr().out)


def test_how_many_samples_a_difference_needs(capsys):
    """Five points, paired, at 80 %: what the room of statistics says, for people and for programs."""
    needed = n_for(RateStudy(0.8), 0.05)
    assert main(["power", "--effect", "0.05"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "pass rates about 80 %, paired, 16 % of the samples right in one and wrong in the other" in out
    assert f"5 points: {needed} samples, asked of both" in out
    found = told(capsys, "--effect", "5 points")
    assert found["n_needed"] == needed
    assert found["rows"][0]["power"] >= 0.8


def test_what_so_many_samples_would_find(capsys):
    """The smallest detectable difference, before anything is spent; several sizes side by side."""
    found = told(capsys, "--n", "100,200", "--rate", "0.9", "--discordant", "0.05")
    expected = [smallest_effect(RateStudy(0.9, discordant=0.05), n) for n in (100, 200)]
    assert [row["smallest_detectable"] for row in found["rows"]] == expected
    assert main(["power"]) == ExitCode.OK
    assert len(capsys.readouterr().out.splitlines()) == 8


def test_means_and_ratios_have_their_own_noise(capsys):
    """Scores by their standard deviation, times by their coefficient of variation, apart and in pairs."""
    scores = told(capsys, "--kind", "mean", "--deviation", "0.2", "--effect", "0.05", "--unpaired")
    assert scores["n_needed"] == n_for(MeanStudy(0.2, paired=False), 0.05)
    assert main(["power", "--kind", "mean", "--n", "3"]) == ExitCode.OK
    assert "means, paired, standard deviation of the differences 0.3" in capsys.readouterr().out
    times = told(capsys, "--kind", "ratio", "--cv", "0.2", "--effect", "10%", "--correlation", "0.5")
    assert times["n_needed"] == n_for(RatioStudy.of_cv(0.2, correlation=0.5), 0.1)
    assert main(["power", "--kind", "ratio", "--effect", "10%", "--n", "5,20"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "10 %: 21 pairs" in out
    assert "5   none" in out


def test_gates_share_their_alpha(capsys):
    """Twenty gates need more samples than one; they look in one direction, at 1 % in all."""
    many, one = (told(capsys, "--effect", "0.05", "--gates", gates) for gates in ("20", "1"))
    assert (many["alpha"], one["alpha"]) == (pytest.approx(0.001), pytest.approx(0.02))
    assert many["n_needed"] > one["n_needed"]
    assert told(capsys, "--gates", "5", "--alpha", "0.05")["alpha"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--effect", "2"), "--effect is between 0 and 1"),
        (("--effect", "many"), "is no margin"),
        (("--rate", "80"), "--rate is from 0 to 1"),
        (("--n", "100,none"), "is not a whole number from 1 on"),
        (("--kind", "mean", "--deviation", "0"), "--deviation is above 0"),
        (("--power", "1"), "--power is between 0 and 1"),
        (("--discordant", "0.02", "--effect", "0.1"), "--discordant 0.02 is less than --effect 0.1"),
    ],
)
def test_mistakes_are_told(words, said, capsys):
    """What is wrong, and what is allowed; exit code of usage."""
    assert main(["power", *words]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


def test_what_no_number_of_samples_finds(capsys):
    """A thousandth of a point between unpaired rates."""
    assert main(["power", "--effect", "0.00001", "--unpaired"]) == ExitCode.OK
    assert "no number of samples finds that" in capsys.readouterr().out
