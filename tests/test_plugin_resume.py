"""What finished is there after a kill, and is not done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from suite_runs import outcomes, stored_run

pytestmark = pytest.mark.usefixtures("smollm2")

SUITE = """
    import os, pathlib, pytest

    MODEL = "smollm2-135m:Q4_1"

    @pytest.mark.models(MODEL)
    @pytest.mark.parametrize("n", range(3))
    def test_ask(model, n):
        reply = model.ask(f"What comes after {n}?", max_tokens=8)
        pathlib.Path(f"answer-{n}-{len(list(pathlib.Path().glob('answer*')))}.txt").write_text(reply.id)

    def test_bench(llama_server, bench):
        measured = bench(llama_server(MODEL, context=512), rounds=2, output_tokens=4, prompts=["Hi.", "Ho."])
        assert measured.ttft_s.n == 4

    @pytest.mark.exclusive
    def test_killed():
        if not pathlib.Path("again").exists():
            pathlib.Path("again").touch()
            os.kill(int(os.environ.get("KILL_PID") or os.getpid()), 9)
"""


def test_resume_goes_on_where_a_killed_run_stopped(pytester: pytest.Pytester) -> None:
    """kill -9: finished replies and measurements are in the store, and the resumed run takes them from there."""
    pytester.makepyfile(SUITE)
    killed = pytester.runpytest_subprocess()
    assert killed.ret == -signal.SIGKILL
    before = stored_run(pytester)
    assert before.finished_at is None
    assert len(before.measurements) == 1
    asked = {reply.id for reply in before.replies}
    resumed = pytester.runpytest_subprocess("--llmbench-resume", "last")
    assert resumed.ret == 0, resumed.stdout.str()
    after = stored_run(pytester)
    assert after.id == before.id
    assert {reply.id for reply in after.replies} == asked
    assert after.measurements == before.measurements
    assert set(outcomes(after).values()) == {"right"}


def test_what_changed_is_done_again_on_resume(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    pytester.runpytest_subprocess("-k", "ask")
    first = {reply.id for reply in stored_run(pytester).replies}
    source = pytester.path / "test_what_changed_is_done_again_on_resume.py"
    source.write_text(source.read_text().replace("What comes after", "Which number follows"))
    pytester.runpytest_subprocess("-k", "ask", "--llmbench-resume", "last")
    assert len({reply.id for reply in stored_run(pytester).replies} - first) == 3


def test_a_run_that_is_not_there_cannot_be_resumed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("--llmbench-resume", "last")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*cannot resume*"])


def test_a_killed_worker_costs_the_one_test_it_was_on(pytester: pytest.Pytester) -> None:
    """One infra error, all other results as without the crash."""
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("-n", "2", "--llmbench-max-error-rate", "0.5")
    run = stored_run(pytester)
    crashed = [r for r in run.results if r.outcome == "infra_error"]
    assert crashed[0].message.endswith("died (SIGKILL)")
    assert [(r.key.rpartition("::")[2], r.category) for r in crashed] == [("test_killed", "local.worker_crash")]
    assert [r.outcome for r in run.results if r not in crashed] == ["right"] * 4
    assert result.ret == 0, result.stdout.str()


@pytest.mark.parametrize("victim", ["pytest", "server", "supervisor"])
def test_no_process_is_left_ten_seconds_after_a_kill(pytester: pytest.Pytester, victim: str) -> None:
    """kill -9 of pytest, of the server or of the supervisor: nothing of the session lives on once pytest is gone."""
    pytester.makepyfile(
        """
        import os, pathlib, time

        def test_it(llama_server):
            server = llama_server("smollm2-135m:Q4_1", context=512)
            pid = server.server().pid
            pathlib.Path("pids.tmp").write_text(f"{pid} {os.stat(f'/proc/{pid}').st_uid}")
            os.rename("pids.tmp", "pids")
            time.sleep(30 if os.environ["VICTIM"] == "pytest" else 3)
        """
    )
    environment = {**os.environ, "VICTIM": victim}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q"], cwd=pytester.path, env=environment, stdout=subprocess.DEVNULL
    ) as session:
        deadline = time.monotonic() + 60
        while not (pytester.path / "pids").exists():
            assert time.monotonic() < deadline
            assert session.poll() is None
            time.sleep(0.05)
        server = psutil.Process(int((pytester.path / "pids").read_text().split()[0]))
        supervisor = server.parent()
        assert supervisor is not None
        {"pytest": session, "server": server, "supervisor": supervisor}[victim].kill()
        session.wait(60)
    gone, alive = psutil.wait_procs([server, supervisor], timeout=10)
    assert alive == []
    assert len(gone) == 2


def test_a_killed_controller_takes_workers_and_servers_with_it(pytester: pytest.Pytester) -> None:
    """kill -9 of the controller under xdist: no worker finishes its test, no server stays."""
    pytester.makepyfile(
        """
        import os, pathlib, time, pytest

        @pytest.mark.parametrize("n", [1, 2])
        def test_it(llama_server, n):
            pid = llama_server("smollm2-135m:Q4_1", context=512).server().pid
            pathlib.Path(f"{n}.tmp").write_text(f"{os.getpid()} {pid}")
            os.rename(f"{n}.tmp", f"pids-{n}")
            time.sleep(60)
        """
    )
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2"]
    with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL) as session:
        deadline = time.monotonic() + 60
        while len(found := list(pytester.path.glob("pids-*"))) < 2:
            assert time.monotonic() < deadline
            assert session.poll() is None
            time.sleep(0.05)
        processes = [psutil.Process(int(pid)) for path in found for pid in path.read_text().split()]
        session.kill()
    assert len({process.pid for process in processes}) == 3
    assert psutil.wait_procs(processes, timeout=10)[1] == []
