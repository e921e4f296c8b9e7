"""API keys: from the environment, the project's `.env`, or a command of the user's own configuration.

A key becomes a `Secret` the moment it is read, so it is taken out of whatever is shown or kept. `.env` is read and not
exported: processes that tests start do not inherit what stands there.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pytest_llmbench import redaction
from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import UsageError
from pytest_llmbench.secret import NO_KEY, Secret

COMMAND_TIMEOUT_S = 60.0
"""A password manager may ask its user something."""
_FINGERPRINT_BYTES = 5
"""Tells accounts apart, and says next to nothing about a key."""


class Keyring:
    """Finds keys, from any thread; each command is run once.

    Args:
        environ: the process environment.
        folder: where `.env` is looked for.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folder = folder
        self._told: dict[tuple[str, ...], Secret] = {}
        self._asking = threading.Lock()

    def find(self, variables: Sequence[str], command: Sequence[str] = ()) -> Secret:
        """The key of the first variable that is set, in the environment and then in `.env`; else what the command says.

        Returns:
            An empty secret where there is none.

        Raises:
            UsageError: the command fails, or `.env` cannot be read.
        """
        for source in (self._environ, self._env_file) if variables else ():
            for name in variables:
                if value := (source.get(name) or "").strip():
                    return Secret(value)
        return self._from(tuple(command)) if command else NO_KEY

    def register(self, variables: Iterable[str]) -> None:
        """Have what these variables hold, and what `.env` has of keys, taken out of every text from now on."""
        sources = [self._environ]
        with contextlib.suppress(UsageError), _silent():  # told by whoever needs a key of it
            sources.append({name: value for name, value in self._env_file.items() if value})
        for name in variables:
            for source in sources:
                Secret(source.get(name, ""))

    @property
    def env_path(self) -> Path:
        """Where `.env` is looked for."""
        return self._folder / ".env"

    @cached_property
    def _env_file(self) -> Mapping[str, str | None]:
        if not self.env_path.is_file():
            return {}
        from dotenv import dotenv_values  # noqa: PLC0415  only a project that has such a file pays for it

        try:
            values = dotenv_values(self.env_path, interpolate=False, encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{self.env_path} cannot be read: {error}", hint="it has to be UTF-8 text") from error
        redaction.register_environment({name: value for name, value in values.items() if value})
        return values

    def _from(self, command: tuple[str, ...]) -> Secret:
        with self._asking:  # the first requests come together: their user is asked once
            if command not in self._told:
                self._told[command] = _told_by(command)
            return self._told[command]


def register_configured(resolved: Resolved, environ: Mapping[str, str]) -> None:
    """Register every key that the environment holds, as far as its name or the configuration says that it is one.

    Each process of a run does so when it begins, whoever is asked there: the one that only stores what others did is
    told names of tests and texts in which a key may stand, too.

    Args:
        resolved: settings and configuration.
        environ: the process environment.
    """
    redaction.register_environment(environ)
    config = resolved.config
    named = [server.key_env for server in config.servers.values()]
    named += [provider.key_env for provider in config.providers.values()]
    Keyring(environ, resolved.rootdir).register(filter(None, (*named, config.cache.key_env)))
    if config.cache.backend == "redis":
        redaction.register_address(environ.get(config.cache.url_env, ""))


def fingerprint(key: Secret) -> str:
    """Tells one account from another without telling its key; empty without a key."""
    if not key:
        return ""
    return hashlib.blake2b(
        key.reveal().encode(), digest_size=_FINGERPRINT_BYTES, person=b"llmbench-account"
    ).hexdigest()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without a word of the parser about lines of `.env` that it does not understand."""
    log = logging.getLogger("dotenv.main")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _told_by(command: tuple[str, ...]) -> Secret:
    shown = f"the key_command `{command[0]} …`"
    hint = "run it in a shell: its first line of output has to be the key"
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        # Not chained: the exception holds what the command had said.
        raise UsageError(f"{shown} has not ended after {COMMAND_TIMEOUT_S:g} s", hint=hint) from None
    except OSError as error:
        raise UsageError(f"{shown} cannot be run: {error.strerror}", hint=hint) from error
    key = Secret(ended.stdout.decode("utf-8", "replace").partition("\n")[0].strip())
    if ended.returncode != 0:
        told = ended.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
        raise UsageError(f"{shown} ended with status {ended.returncode}: {redaction.redact(told)}", hint=hint)
    if not key:
        raise UsageError(f"{shown} said nothing", hint=hint)
    return key
