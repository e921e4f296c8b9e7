"""Which machines are alike, which branch is run, and which baseline that gives."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest
from baseline_runs import HOST, OTHER_HOST, run, samples

from pytest_llmbench import config
from pytest_llmbench.config.margins import Margin, MarginKind, margin
from pytest_llmbench.environment import branches, environment
from pytest_llmbench.errors import ConfigError, UsageError
from pytest_llmbench.evaluations.telling import content_of
from pytest_llmbench.records import Gpu, Host, Run, Sample
from pytest_llmbench.results.baseline import of_run
from pytest_llmbench.results.baseline_choice import chosen, chosen_or_why, folder_name, folder_of, path_of
from pytest_llmbench.results.baseline_file import write
from pytest_llmbench.results.machine_class import machine_class

EPYC = "linux-x86_64-amd-epyc-7b13-2c-8g"


def test_a_machine_class_names_what_counts() -> None:
    """CPU without clock rate, cores and memory as the container has them, cards, system without its version."""
    assert machine_class(HOST) == EPYC
    xeon = dataclasses.replace(HOST, cpu_model="Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz", container_cpus=None)
    assert machine_class(xeon) == "linux-x86_64-intel-xeon-platinum-8370c-4c-8g"
    with_cards = dataclasses.replace(HOST, gpus=(Gpu("NVIDIA A100", 80 << 30), Gpu("NVIDIA A100", 80 << 30)))
    assert machine_class(with_cards) == f"{EPYC}-2x-nvidia-a100-80g"


def test_a_new_baseline_is_no_change_of_what_is_run(tmp_path: Path) -> None:
    """Blessed and not yet committed, or blessed anew: the next run may be blessed as well."""

    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=tmp_path, check=True)

    def is_dirty() -> object:
        return environment(tmp_path / "sub", [], "kept/llmbench-baselines")["git_dirty"]

    git("init", "-q", "-b", "main")
    file = tmp_path / "sub" / "kept" / "llmbench-baselines" / "main" / "here.json"
    file.parent.mkdir(parents=True)
    (tmp_path / "sub" / "kept" / "llmbench.yaml").touch()
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    file.write_text("1")
    assert is_dirty() is False
    git("add", "-A")
    git("commit", "-q", "-m", "second")
    file.write_text("2")
    assert is_dirty() is False
    (tmp_path / "prompt.md").write_text("x")
    assert is_dirty() is True


@pytest.mark.parametrize(
    "alike",
    [
        {"os": "Linux 6.9 (Debian GNU/Linux 13)"},
        {"memory_bytes": 8_589_934_592},
        {"memory_bytes": 8_100_000_000},
        {"cpu_model": "AMD EPYC 7B13 64-Core Processor @ 2450 MHz"},
        {"python": "CPython 3.12.1"},
        {"swap_bytes": 7},
    ],
)
def test_a_boot_or_an_update_makes_no_other_machine(alike: dict[str, object]) -> None:
    """Or every machine would lose its baselines all the time."""
    assert machine_class(dataclasses.replace(HOST, **alike)) == EPYC


def test_what_nobody_could_find_out_is_still_a_class() -> None:
    """No exception, and a name that a file can have."""
    bare = Host(cpu_model="", architecture="", os="", python="")
    assert machine_class(bare) == "os-0c-0g"
    assert "/" not in machine_class(dataclasses.replace(bare, cpu_model="../../etc: a/b"))


@pytest.mark.parametrize(
    ("head", "environ", "branch", "base"),
    [
        ("main", {}, "main", None),
        ("", {}, None, None),
        ("", {"GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch"}, "main", None),
        ("", {"GITHUB_REF_NAME": "v1.0", "GITHUB_REF_TYPE": "tag"}, None, None),
        (
            "",
            {"GITHUB_HEAD_REF": "fix/a", "GITHUB_BASE_REF": "main", "GITHUB_REF_NAME": "12/merge"},
            "fix/a",
            "main",
        ),
        ("", {"CI_COMMIT_BRANCH": "dev"}, "dev", None),
        (
            "",
            {"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "fix", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"},
            "fix",
            "main",
        ),
    ],
)
def test_the_branch_is_git_s_or_what_ci_says(
    head: str, environ: dict[str, str], branch: str | None, base: str | None
) -> None:
    """In CI nothing is checked out by name: GitHub's and GitLab's variables tell."""
    assert branches(head, environ) == {"branch": branch, "base_branch": base}


def test_a_run_keeps_its_branch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a repository before its first commit, after it, with a changed file, and with nothing checked out by name."""
    for name in (
        "GITHUB_REF_NAME",
        "GITHUB_HEAD_REF",
        "GITHUB_BASE_REF",
        "CI_COMMIT_BRANCH",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
    ):
        monkeypatch.delenv(name, raising=False)

    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=tmp_path, check=True)

    assert environment(tmp_path, [])["branch"] is None
    git("init", "-q", "-b", "topic/x")
    assert environment(tmp_path, [])["branch"] == "topic/x"
    git("commit", "-q", "--allow-empty", "-m", "first")
    (tmp_path / "a.txt").write_text("a")
    told = environment(tmp_path, [])
    assert (told["branch"], told["git_dirty"]) == ("topic/x", True)
    git("checkout", "-q", "--detach")
    assert environment(tmp_path, [])["branch"] is None


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("10%", Margin(0.1, MarginKind.RELATIVE)),
        (" 2.5 % ", Margin(0.025, MarginKind.RELATIVE)),
        ("3 points", Margin(0.03, MarginKind.POINTS)),
        ("1 point", Margin(0.01, MarginKind.POINTS)),
        ("0.02", Margin(0.02, MarginKind.ABSOLUTE)),
        (0.02, Margin(0.02, MarginKind.ABSOLUTE)),
        (0, Margin(0.0, MarginKind.ABSOLUTE)),
    ],
)
def test_a_margin_is_a_part_points_or_an_amount(told: str | float, meant: Margin) -> None:
    """As people write them."""
    assert margin(told) == meant
    assert margin(str(meant)) == meant


@pytest.mark.parametrize("told", ["", "ten", "-3%", "10 %%", "3 pts", True, "nan", "1e9"])
def test_what_is_no_margin_is_refused(told: str | bool) -> None:
    """With how to write one."""
    with pytest.raises(ValueError, match="3 points"):
        margin(told)


def resolved(rootdir: Path, baseline: str = "auto") -> config.Resolved:
    return config.resolve({"baseline": baseline}, {}, {}, rootdir)


def kept(rootdir: Path, branch: str | None, host: Host = HOST, blessed_at: str = "2026-01-01") -> Path:
    found = dataclasses.replace(of_run(run(*samples(3), branch=branch, host=host)), blessed_at=blessed_at)
    path = path_of(folder_of(resolved(rootdir)), branch, found.machine.name)
    write(path, found)
    return path


def today(branch: str | None = "topic", base: str | None = None, host: Host = HOST) -> Run:
    begun = run(branch=branch, host=host)
    return dataclasses.replace(begun, environment={**begun.environment, "base_branch": base})


def test_the_own_branch_comes_first_then_the_base_then_the_main_one(tmp_path: Path) -> None:
    """And where none has a baseline it is told how to get one."""
    none = chosen(resolved(tmp_path), today())
    assert none.baseline is None
    assert "there is no baseline of topic, main, master" in none.why_none
    assert "llmbench baseline bless" in none.why_none
    for branch in ("main", "release", "topic"):
        kept(tmp_path, branch)
        found = chosen(resolved(tmp_path), today(base="release"))
        assert found.baseline is not None
        assert found.baseline.branch == branch
    assert found.unlike == ""


def test_a_baseline_of_another_machine_is_taken_and_told_so(tmp_path: Path) -> None:
    """Quality can be compared with it; the newest where there are several, that of this machine before all."""
    kept(tmp_path, "topic", OTHER_HOST)
    kept(tmp_path, "topic", dataclasses.replace(OTHER_HOST, logical_cores=64, container_cpus=None), "2026-02-01")
    found = chosen(resolved(tmp_path), today())
    assert found.baseline is not None
    assert found.baseline.blessed_at == "2026-02-01"
    assert found.unlike.endswith(f"this is {EPYC}")
    kept(tmp_path, "main")
    assert chosen(resolved(tmp_path), today()).unlike == ""


def test_a_file_or_none_can_be_asked_for(tmp_path: Path) -> None:
    """As the setting says; a file that is not there is an error, and not no baseline."""
    path = kept(tmp_path, "old", OTHER_HOST)
    found = chosen(resolved(tmp_path, str(path)), today())
    assert found.baseline is not None
    assert found.baseline.branch == "old"
    assert "ampere-altra" in found.unlike
    assert chosen(resolved(tmp_path, "none"), today()).why_none == "baselines are switched off (baseline: none)"
    with pytest.raises(UsageError, match="there is no baseline"):
        chosen(resolved(tmp_path, "nowhere.json"), today())


def test_a_changed_file_is_no_missing_one(tmp_path: Path) -> None:
    """It is refused; gates against it fail and say why."""
    path = kept(tmp_path, "main")
    path.write_text(path.read_text().replace("right", "wrong", 1))
    with pytest.raises(ConfigError, match="was changed since it was blessed"):
        chosen(resolved(tmp_path), today())
    found = chosen_or_why(resolved(tmp_path), today())
    assert found.is_unusable
    assert "was changed since it was blessed" in found.why_none
    assert "hint:" not in found.why_none


def test_a_named_file_that_is_not_there_makes_gates_red(tmp_path: Path) -> None:
    """A slip in `--baseline FILE` must not turn all gates against it into remarks."""
    found = chosen_or_why(resolved(tmp_path, "nowhere.json"), today())
    assert found.is_unusable
    assert found.why_none.startswith("there is no baseline ")
    assert found.why_none.endswith("nowhere.json; `llmbench baseline list` prints those there are")


def test_branches_have_folders_of_their_own() -> None:
    """Whatever is in their names; none leads out of the folder."""
    names = ["main", "fix/a", "fix-a", "fix\\a", "..", "../main", "a" * 300, "Ä", None]
    folders = list(map(folder_name, names))
    assert folders[0] == "main"
    assert folders[-1] == "no-branch"
    assert len(set(folders)) == len(names)
    assert all(folder and "/" not in folder and not folder.startswith(".") and len(folder) < 100 for folder in folders)


def test_the_content_of_a_sample_is_what_is_asked_and_expected() -> None:
    """Other columns and the id are none of it; the order of keys is no change, a picture's bytes are one."""
    sample = Sample("a", "What?", {"x": 1, "y": [2]}, {"tag": "one"})
    content = content_of(sample)
    assert len(content) == 12
    assert content_of(dataclasses.replace(sample, id="b", metadata={"tag": "two"})) == content
    assert content_of(dataclasses.replace(sample, expected={"y": [2], "x": 1})) == content
    for other in ({"input": "What"}, {"expected": {"x": 1, "y": [3]}}, {"expected": None}):
        assert content_of(dataclasses.replace(sample, **other)) != content
    pictures = [Sample("a", [{"role": "user", "content": [{"image_url": {"url": f"data:{n}"}}]}]) for n in range(2)]
    assert content_of(pictures[0]) != content_of(pictures[1])
