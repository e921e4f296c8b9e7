"""The suite that measures a machine with every profile."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from pytest_llmbench.profiles import PROFILES
from pytest_llmbench.profiles.demo_form import DEMO

SUITE = Path(__file__).parents[1] / "example_suites" / "hardware"


def test_every_profile_has_a_file_in_the_suite_and_a_demo_form() -> None:
    """Who adds a profile shows it."""
    for name in PROFILES:
        assert f'profile="{name}"' in (SUITE / f"test_{name}.py").read_text()
        PROFILES[name].planned(DEMO[name])
    assert DEMO.keys() == PROFILES.keys()


def test_the_suite_is_collected_once_for_each_model() -> None:
    """Its files, its configuration and its models are read as `make profiles-demo` reads them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(SUITE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=SUITE)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"::test_\w+\[(\S+)\]", done.stdout)
    assert set(found) == {"smollm2-135m:Q4_1", "gemma3-270m:Q4_K_M"}
    assert found.count("smollm2-135m:Q4_1") == found.count("gemma3-270m:Q4_K_M") >= 2 * len(PROFILES)
