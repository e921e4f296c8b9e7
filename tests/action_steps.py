"""The steps of a composite action as a runner takes them: `run:` in bash, `uses:` told from outside.

Of GitHub's expressions what our action uses: contexts, literals, `==`, `!=`, `&&`, `||`, `!`, `cancelled()`,
`hashFiles()`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_TOKEN = re.compile(r"\s*(&&|\|\||==|!=|!|\(|\)|,|'[^']*'|[A-Za-z_][\w.-]*)")
_EMBEDDED = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


@dataclass
class Done:
    """What a step came to."""

    name: str
    code: int | None
    """None: it was skipped."""
    output: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class ActionRun:
    """An action that was run."""

    steps: list[Done]
    code: int
    summary: str

    def __getitem__(self, name: str) -> Done:
        return next(each for each in self.steps if each.name == name)

    @property
    def log(self) -> str:
        return "".join(each.output for each in self.steps)


@dataclass
class Runner:
    """Runs an action in a workspace.

    Args:
        workspace: the checkout.
        folder: where the runner keeps its own files.
        github: the context `github`.
        environ: the environment of every step.
        uses: action without its version → the outputs that it would have.
    """

    workspace: Path
    folder: Path
    github: Mapping[str, Any]
    environ: Mapping[str, str]
    uses: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """(action, what it was given) of each step that used one."""

    def run(self, action: Path, inputs: Mapping[str, str]) -> ActionRun:
        """All steps in their order."""
        told = yaml.safe_load(action.read_text(encoding="utf-8"))
        self.folder.mkdir(parents=True, exist_ok=True)
        contexts: dict[str, Any] = {"github": self.github, "runner": {"temp": str(self.folder), "os": "Linux"}}
        contexts["steps"] = {}
        contexts["inputs"] = {
            name: inputs.get(name, filled(str(each.get("default", "")), contexts))
            for name, each in told["inputs"].items()
        }
        assert not set(inputs) - set(told["inputs"])
        steps, code = [], 0
        for step in told["runs"]["steps"]:
            condition = str(step.get("if", "success()"))
            is_wanted = truth(condition, contexts) and (code == 0 or "cancelled()" in condition)
            done = self._step(step, contexts) if is_wanted else Done(step["name"], None)
            code = code or done.code or 0
            outcome = "skipped" if done.code is None else "failure" if done.code else "success"
            contexts["steps"][step.get("id", step["name"])] = {"outputs": done.outputs, "outcome": outcome}
            steps.append(done)
        summaries = sorted(self.folder.glob("summary-*"), key=lambda each: each.stat().st_mtime_ns)
        return ActionRun(steps, code, "".join(each.read_text(encoding="utf-8") for each in summaries))

    def _step(self, step: Mapping[str, Any], contexts: Mapping[str, Any]) -> Done:
        if "uses" in step:
            name = step["uses"].partition("@")[0]
            self.seen.append((name, {key: filled(str(value), contexts) for key, value in step["with"].items()}))
            return Done(step["name"], 0, outputs=dict(self.uses.get(name, {})))
        number = len(list(self.folder.glob("outputs-*")))
        outputs, summary = (self.folder / f"{kind}-{number}" for kind in ("outputs", "summary"))
        outputs.touch()
        script = self.folder / f"script-{number}.sh"
        script.write_text(step["run"], encoding="utf-8")
        own = {name: filled(str(value), contexts) for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.workspace / filled(step.get("working-directory", "."), contexts),
            env={**self.environ, "GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary), **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=120,
        )
        said = dict(line.split("=", 1) for line in outputs.read_text(encoding="utf-8").splitlines())
        return Done(step["name"], done.returncode, done.stdout.decode("utf-8", "replace"), said)


def filled(text: str, contexts: Mapping[str, Any]) -> str:
    """A text with its expressions' values."""
    return _EMBEDDED.sub(lambda found: _as_text(value_of(found[1], contexts)), text)


def truth(condition: str, contexts: Mapping[str, Any]) -> bool:
    """An `if:`, with or without its braces."""
    found = _EMBEDDED.fullmatch(condition.strip())
    return bool(value_of(found[1] if found else condition, contexts))


def value_of(expression: str, contexts: Mapping[str, Any]) -> Any:
    """The value of an expression."""
    tokens = _TOKEN.findall(expression)
    assert "".join(tokens) == "".join(re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", expression)), expression
    value, rest = _either(tokens, contexts)
    assert not rest, rest
    return value


def _either(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    return _chain(tokens, contexts, "||", lambda left, right: left or right, _both)


def _both(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    return _chain(tokens, contexts, "&&", lambda left, right: left and right, _compared)


def _chain(
    tokens: list[str],
    contexts: Mapping[str, Any],
    sign: str,
    join: Callable[[Any, Any], Any],
    below: Callable[..., Any],
) -> tuple[Any, list[str]]:
    value, rest = below(tokens, contexts)
    while rest[:1] == [sign]:
        right, rest = below(rest[1:], contexts)
        value = join(value, right)
    return value, rest


def _compared(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    left, rest = _single(tokens, contexts)
    if rest[:1] not in (["=="], ["!="]):
        return left, rest
    right, after = _single(rest[1:], contexts)
    # To GitHub an output that nobody set is an empty text.
    return (_as_text(left) == _as_text(right)) is (rest[0] == "=="), after


def _single(tokens: list[str], contexts: Mapping[str, Any]) -> tuple[Any, list[str]]:
    first, *rest = tokens
    if first == "!":
        value, rest = _single(rest, contexts)
        return not value, rest
    if first == "(":
        value, rest = _either(rest, contexts)
        return value, rest[1:]
    if rest[:1] == ["("]:
        end = rest.index(")")
        return {"success": True, "cancelled": False, "hashFiles": "hash"}[first], rest[end + 1 :]
    if first.startswith("'"):
        return first[1:-1], rest
    return (None if first == "null" else _looked_up(first, contexts)), rest


def _looked_up(name: str, contexts: Mapping[str, Any]) -> Any:
    value: Any = contexts
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _as_text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def environment(folder: Path, event: Path, api_url: str, **more: str) -> dict[str, str]:
    """The environment that a runner gives a step: nothing of the developer's own but where programs are."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "COVERAGE_PROCESS_CONFIG") if name in os.environ
    }
    return {
        **kept,
        "HOME": str(home),
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": api_url,
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_RUN_ID": "77",
        "GITHUB_SERVER_URL": "https://github.example",
        **more,
    }
