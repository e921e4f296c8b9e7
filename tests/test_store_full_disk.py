"""A disk that fills up while results are written: a clear error, and all that was acknowledged stays readable."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import store_samples as samples

from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.errors import Category, ExitCode, StoreError
from pytest_llmbench.store import Store
from pytest_llmbench.store.check import check

SMALL = 2_000_000

# No file of this process may grow beyond the limit; what writes to it is told "file too large" (EFBIG).
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
"""

FILLER = """
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import store_samples as samples
from pytest_llmbench.errors import StoreError
from pytest_llmbench.store import Store
with Store.open(Path(sys.argv[1])) as store:
    store.ensure_run(samples.run())
    for n in range(10_000):
        try:
            store.save_reply("run-1", "t1", n, {}, samples.reply("word " * 2000))
        except StoreError as error:
            print(error.category, error, sep="\\n")
            break
        print("kept", n)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, where we may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root; RLIMIT_FSIZE stands in for it in the other tests")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fill(store: Store) -> tuple[int, StoreError]:
    """Write until it fails: how many writes were acknowledged, and the error."""
    for n in range(10_000):
        try:
            store.save_reply("run-1", "t1", n, {}, samples.reply("word " * 2000))
        except StoreError as error:
            return n, error
    raise AssertionError("the disk is not small")


def _kept(path: Path) -> int:
    with Store.open(path) as store:
        return len(store.load_run("last").replies)


def test_a_disk_that_fills_up_ends_in_a_clear_error_and_loses_nothing(small_disk: Path) -> None:
    """On a real file system of 2 MB: its own category, the way out, a sound file, and it goes on once there is room."""
    path = small_disk / "results.db"
    with Store.open(path) as store:
        store.ensure_run(samples.run())
        acknowledged, error = _fill(store)
        assert error.category is Category.LOCAL_DISK_FULL
        assert "disk is full" in error.message
        assert "--llmbench-results-dir" in error.hint
        assert len(store.load_run("last").replies) == acknowledged > 10
        subprocess.run(["mount", "-o", f"remount,size={4 * SMALL}", str(small_disk)], check=True)
        store.save_reply("run-1", "t1", acknowledged, {}, samples.reply("word " * 2000))
    assert check(path).problems == ()
    assert _kept(path) == acknowledged + 1


@pytest.mark.parametrize("room", [0, 20_000, 60_000])
def test_a_disk_too_full_for_a_new_database_leaves_none(small_disk: Path, room: int) -> None:
    """What cannot be created completely is not there afterwards, so the next run begins anew instead of failing."""
    (small_disk / "ballast").write_bytes(b"x" * (SMALL - room - 20_000))
    with pytest.raises(StoreError) as caught:
        Store.open(small_disk / "results.db")
    assert caught.value.category is Category.LOCAL_DISK_FULL
    assert not (small_disk / "results.db").exists()

    (small_disk / "ballast").unlink()
    with Store.open(small_disk / "results.db") as store:
        assert store.runs() == []


def test_a_writer_that_may_not_grow_its_file_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """A quota instead of a full disk: the error says to look for one, and the rest is as with a full disk."""
    path = tmp_path / "results.db"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIMITED + FILLER, "1000000", str(path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stderr == ""
    *kept, category, message, hint = done.stdout.splitlines()
    assert (category, message.startswith(f"results database {path}: ")) == ("store", True)
    assert "quota" in hint
    assert _kept(path) == len(kept) > 10
    assert check(path).problems == ()


def test_a_run_on_a_full_disk_ends_with_its_reason_and_an_exit_code(pytester: pytest.Pytester) -> None:
    """Each test that could not be stored is an infra error with its reason; what came before is stored and can be
    resumed from."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.models("lab/any-model")
        @pytest.mark.parametrize("n", range(12))
        def test_sample(model, n):
            assert model.ask(f"sample {n}").text
        """
    )
    limited = LIMITED + "import pytest\nsys.exit(pytest.main(sys.argv[1:]))"
    command = [sys.executable, "-c", limited, "250000", "-p", "no:cacheprovider", "--llmbench-report", "none"]
    with DemoProvider(Answer(f"{'x' * 3000} " * 5)) as provider:
        pytester.path.joinpath("llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{provider.url}'}}\n")
        full = pytester.run(*command)
        asked = len(provider.chats())
        resumed = pytester.runpytest_subprocess("--llmbench-resume", "last", "--llmbench-report", "none")
        again = len(provider.chats()) - asked
    assert full.ret == ExitCode.INFRA_ERRORS
    full.stdout.fnmatch_lines(["*results.db: reading or writing it failed*", "*hint: is the disk full*"])
    full.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert resumed.ret == 0
    assert again < 12


def test_infra_errors_keep_their_exit_code_where_the_end_of_the_run_cannot_be_stored(
    pytester: pytest.Pytester,
) -> None:
    """The tests said nothing of the model, so that 1 would be wrong."""
    pytester.makeconftest(
        """
        from pytest_llmbench.errors import Category, StoreError
        from pytest_llmbench.store import Store

        def refuse(*_):
            raise StoreError("the disk is full", category=Category.STORE)

        Store.finish_run = refuse
        """
    )
    pytester.makepyfile(
        "import pytest\n@pytest.mark.models('lab/any-model')\ndef test_sample(model):\n    assert model.ask('x').text"
    )
    with DemoProvider() as provider:
        pytester.path.joinpath("llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{provider.url}'}}\n")
    result = pytester.runpytest_subprocess("--llmbench-attempts", "1")
    assert result.ret == ExitCode.INFRA_ERRORS
    result.stdout.fnmatch_lines(["*the disk is full*"])
