"""`llmbench.lock`: what the models of llmbench.yaml were when they were first pulled. Meant to be committed.

JSON, sorted, one file beside llmbench.yaml. A pull writes an entry for a model whose sha256 llmbench.yaml does not
give; from then on every machine gets this very file or an error. Nobody else writes to it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ConfigError, ModelFileError

_MAX_BYTES = 4 << 20
_VERSION = 1
_MEND = "take it from version control again, or delete it and pull the models: what they are then is pinned"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LockedFile(_Strict):
    """One part of a model; a model in one file has one."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=0)]


class LockedModel(_Strict):
    """What a model was when it was pulled."""

    source: str
    """As in llmbench.yaml; after an edit there the entry counts no more."""
    revision: str = ""
    """The commit that was fetched, where the source has commits."""
    files: Annotated[tuple[LockedFile, ...], Field(min_length=1, strict=False)]

    @property
    def hashes(self) -> tuple[str, ...]:
        return tuple(file.sha256 for file in self.files)


class _Content(_Strict):
    version: Literal[1] = 1
    models: dict[str, LockedModel] = {}


class Lockfile:
    """One project's lock file.

    Args:
        path: where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def entry(self, name: str) -> LockedModel | None:
        """What is pinned for a model.

        Raises:
            ConfigError: the file cannot be read or makes no sense.
        """
        return self._read().models.get(name)

    def record(self, name: str, entry: LockedModel) -> None:
        """Pin a model. Processes that pin at the same time do so one after the other.

        Raises:
            ConfigError: the file that is there makes no sense.
            ModelFileError: it cannot be written.
        """
        try:
            with self._own_turn():
                content = self._read()
                if content.models.get(name) != entry:
                    models = dict(sorted({**content.models, name: entry}.items()))
                    new = content.model_copy(update={"models": models})
                    self._write(json.dumps(new.model_dump(mode="json"), indent=1) + "\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def _own_turn(self) -> FileLock:
        # Not beside the file: a project gets no file that nobody should commit. And one for all projects: a lock file
        # cannot be removed safely, and a pin takes milliseconds.
        return FileLock(Path(tempfile.gettempdir()) / f"llmbench-{os.getuid()}-pins.lock")

    def _read(self) -> _Content:
        try:
            with self.path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            return _Content()
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        if len(data) > _MAX_BYTES:
            raise ConfigError(f"{self.path}: is larger than {_MAX_BYTES} bytes", hint=_MEND)
        try:
            return _Content.model_validate_json(data)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            if problem["loc"] == ("version",):
                raise self._of_another_format(problem["input"]) from error
            where = ".".join(str(part) for part in problem["loc"])
            told = display_safe(f"{where}: {problem['msg']}" if where else problem["msg"], keep="")
            raise ConfigError(f"{self.path}: is no lock file of ours: {told}", hint=_MEND) from error

    def _of_another_format(self, version: object) -> ConfigError:
        return ConfigError(
            display_safe(f"{self.path}: is of format {version!r:.20}, this llmbench reads format 1", keep=""),
            hint="upgrade pytest-llmbench, or take the file from version control again",
        )

    def _write(self, text: str) -> None:
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> ModelFileError:
        return ModelFileError(
            f"cannot pin the model in {self.path}: {error.strerror or error}",
            category=Category.MODEL_MISSING,
            hint="make that folder writable, or give the model its sha256 in llmbench.yaml",
        )
