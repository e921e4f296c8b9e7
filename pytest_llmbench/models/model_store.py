"""Model files by name: which are known, where they are, and how to get them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import platformdirs

from pytest_llmbench.config import LOCK_NAME, ModelDef
from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models import checks as model_checks
from pytest_llmbench.models import requantizing
from pytest_llmbench.models.checks import QUANTIZED_PREFIX, reading_errors
from pytest_llmbench.models.entry import ModelEntry, entry_of
from pytest_llmbench.models.folder import ModelFolder
from pytest_llmbench.models.names import PATH_PREFIX, is_path, match, split
from pytest_llmbench.models.note import Note
from pytest_llmbench.models.part_names import local_name
from pytest_llmbench.models.pins import Pins
from pytest_llmbench.models.pull_many import Pulled, in_parallel
from pytest_llmbench.models.sources import kind_of
from pytest_llmbench.models.transfer import Order, Pin, Progress, not_as_pinned
from pytest_llmbench.records import ModelFile

__all__ = ["DEFAULT_JOBS", "ModelEntry", "ModelStore", "default_folder"]

DEFAULT_JOBS = 4
"""Models that are pulled at once."""


def default_folder() -> Path:
    """Where models are kept unless the user says otherwise: the user's cache folder, shared by all projects."""
    return platformdirs.user_cache_path("pytest-llmbench") / "models"


class ModelStore:
    """The models this user and project know, and their files.

    Args:
        folder: where downloaded and made files are kept; see `default_folder`.
        definitions: model name → its quantizations, from llmbench.yaml and the built-in catalogue.
        offline: never download.
        lock: llmbench.lock of the project, where pulls pin what llmbench.yaml does not; None: they pin nothing.
    """

    def __init__(
        self, folder: Path, definitions: Mapping[str, ModelDef], *, offline: bool, lock: Path | None = None
    ) -> None:
        self._folder = ModelFolder(folder.absolute())
        self._offline = offline
        self._defined = {
            f"{model}:{quant}": file for model, known in definitions.items() for quant, file in known.quants.items()
        }
        self._pins = Pins(self._defined, lock)

    @property
    def folder(self) -> ModelFolder:
        """Where downloaded and made files are kept."""
        return self._folder

    def names(self) -> list[str]:
        """Every `model:QUANT` known: defined, or made here by `quantize`."""
        made = (note.name for note in self._folder.notes() if note.source.startswith(QUANTIZED_PREFIX))
        return sorted({*self._defined, *made})

    def check_name(self, name: str) -> str:
        """The name as it is spelled everywhere; the path of a GGUF file stays as it is.

        Raises:
            UnknownModelError: nobody knows it, or `model` alone has several quantizations; near names are offered.
        """
        return name.removeprefix(PATH_PREFIX) if is_path(name) else match(name, self._defined, self.names())

    def entries(self) -> list[ModelEntry]:
        """All known models in the order of `names`; of the files that are here no more than the header is read."""
        return [self._entry(name) for name in self.names()]

    def entry(self, name: str) -> ModelEntry:
        """What is known of one model; of its file no more than the header is read.

        Raises:
            UnknownModelError: nobody knows the name.
        """
        return self._entry(self.check_name(name))

    def find(self, name: str) -> ModelFile:
        """The file of a model that is on this disk, checked.

        Raises:
            UnknownModelError: nobody knows the name.
            ConfigError: llmbench.lock makes no sense.
            ModelFileError: it is not here (`model_missing`), or not what it was or should be (`local.corrupt_model`).
        """
        return self._found(self.check_name(name))

    def ensure(
        self, name: str, progress: Progress | None = None, announce: Callable[[str], None] | None = None
    ) -> ModelFile:
        """`find`, or `pull` where it is missing.

        Args:
            name: as `check_name` takes it.
            progress: as of `pull`.
            announce: told in a sentence that the model will be downloaded.

        Raises:
            UnknownModelError: nobody knows the name.
            ConfigError: llmbench.lock makes no sense.
            ModelFileError: it is missing and cannot or may not be downloaded, or it is damaged.
        """
        try:
            return self.find(name)
        except ModelFileError as error:
            if error.category is not Category.MODEL_MISSING:
                raise
        return self._pulled(self.check_name(name), progress or _silent, announce or (lambda _sentence: None))

    def pull(self, name: str, progress: Progress | None = None, *, update: bool = False) -> ModelFile:
        """Download a model, unless it is here and whole. Of two processes one downloads, the other waits for it.

        The first pull of a model that llmbench.yaml does not pin pins it in llmbench.lock.

        Args:
            name: as `check_name` takes it.
            progress: called with bytes done, bytes in total or None, and what is being done.
            update: take what its source has now and pin that, whatever llmbench.lock says; without effect on a model
                that llmbench.yaml pins.

        Raises:
            UnknownModelError: nobody knows the name.
            ConfigError: llmbench.lock makes no sense.
            ModelFileError: the download failed or is not allowed, its file is damaged or not as pinned, or the folder
                cannot be written.
        """
        return self._pulled(self.check_name(name), progress or _silent, lambda _sentence: None, update=update)

    def pull_all(
        self,
        names: Sequence[str],
        jobs: int = DEFAULT_JOBS,
        progress_of: Callable[[str], Progress] | None = None,
        *,
        update: bool = False,
    ) -> list[Pulled]:
        """`pull` several models, some at a time; one that fails does not keep the others from being pulled.

        Args:
            names: as `check_name` takes them; one named twice is pulled once.
            jobs: how many at a time.
            progress_of: a name → what is told of its progress, in any thread.
            update: as of `pull`.

        Returns:
            What came of each, in the order of `names`.

        Raises:
            UnknownModelError: nobody knows one of the names; nothing was pulled.
        """
        checked = list(dict.fromkeys(self.check_name(name) for name in names))
        return in_parallel(
            checked, jobs, lambda name, tell: self.pull(name, tell, update=update), progress_of or (lambda _: _silent)
        )

    def quantize(self, name: str, quant: str, progress: Progress | None = None) -> ModelFile:
        """Make another quantization of a model; it is then known as `model:QUANT`.

        Args:
            name: the model to make it from; downloaded if need be.
            quant: `Q8_0`, `Q5_0` or `Q4_0`.
            progress: called with bytes done, bytes in total or None, and what is being done.

        Raises:
            UsageError: no such quantization, or llmbench.yaml already says where that one comes from.
            MissingExtraError: the `gguf` package is not installed.
            ModelFileError: the source is not to be had or not readable, or the folder cannot be written.
        """
        tell = progress or _silent
        made = requantizing.made_name(self.check_name(name), quant.upper(), self._defined)
        source = self.ensure(name, progress)
        requantizing.make(self._folder, made, source, self._file(made), tell)
        return self._found(made)

    def _found(self, name: str) -> ModelFile:
        file, pin = self._file(name), self._pins.of(name)
        with reading_errors(file):
            if not file.exists():
                raise model_checks.missing(name, file, self._source(name))
            note = self._note_of_ours(name, file) if self._folder.holds(file) else self._note_of_theirs(name, file)
        if pin and note.hashes != pin.hashes:
            raise self._other_than_pinned(name, file, note, pin)
        if check := kind_of(self._source(name)).check:
            check(file, note.sha256)
        return ModelFile(name, str(file), note.sha256, note.size_bytes, note.source, note.requantized_from)

    def _other_than_pinned(self, name: str, file: Path, note: Note, pin: Pin) -> ModelFileError:
        if pin.said_by == LOCK_NAME:
            # As good as missing: another project, or this one before its lock was changed, has pulled another one.
            return model_checks.missing_locked(name, note, pin)
        source = self._source(name)
        downloaded = kind_of(source).fetch is not None
        otherwise = f"`llmbench models pull {name}`" if downloaded else f"put the right file at {file}"
        return not_as_pinned(name, pin, note.hashes, str(file), otherwise)

    def _note_of_ours(self, name: str, file: Path) -> Note:
        """What is known about a file that we have put into our folder."""
        source, note = self._source(name), self._folder.note(file)
        if note is None or (source and note.source != source):
            return self._adopted(name, file, source)
        if note.fits(file):
            return note
        fresh = model_checks.examined(name, file, note.source, note.revision)
        if fresh.hashes != note.hashes:
            if (newer := self._folder.note(file)) and newer.source == note.source and newer.fits(file):
                return newer  # an update has landed while the file was read
            raise ModelFileError(
                f"the file of {name} has changed since it was stored: {file}",
                category=Category.LOCAL_CORRUPT_MODEL,
                hint=model_checks.how_to_mend(name, note.source),
            )
        return self._remembered(file, fresh)

    def _note_of_theirs(self, name: str, file: Path) -> Note:
        """What is known about a file that lies elsewhere and may change as its owner likes."""
        note = self._folder.note(file)
        if note and note.fits(file):
            return note
        return self._remembered(file, model_checks.examined(name, file, self._source(name)))

    def _adopted(self, name: str, file: Path, source: str) -> Note:
        """A file in our folder without a note, or noted from elsewhere: ours only if it is the pinned one."""
        if pin := self._pins.of(name):
            fresh = model_checks.examined(name, file, source, pin.revision)
            if fresh.hashes == pin.hashes:
                return self._remembered(file, fresh)
        raise model_checks.missing(name, file, source)

    def _remembered(self, file: Path, note: Note) -> Note:
        # Where the folder cannot be written the file is hashed again next time: slower, not wrong.
        with contextlib.suppress(OSError):
            self._folder.remember(file, note)
        return note

    def _pulled(self, name: str, tell: Progress, announce: Callable[[str], None], *, update: bool = False) -> ModelFile:
        """The model of a checked name, downloaded if it has to and can be."""
        if kind_of(self._source(name)).fetch:
            update = update and self._pins.can_move(name)
            if not update and self._is_whole(name):
                self._record(name)
            elif self._offline:
                raise model_checks.offline(name, another_is_here=self._file(name).exists())
            else:
                self._bring(name, tell, announce, update=update)
        return self._found(name)

    def _bring(self, name: str, tell: Progress, announce: Callable[[str], None], *, update: bool) -> None:
        """Download a model, unless another process does."""
        target = self._file(name)
        with self._folder.workspace(target, lambda: tell(0, None, f"{name}: waiting for another process")) as work:
            # The process that was waited for may have brought it.
            if update or not self._is_whole(name):
                announce(f"fetching the model {name} from {self._source(name)}")
                self._fetch(name, target, work, tell, update=update)
            self._record(name)

    def _fetch(self, name: str, target: Path, work: Path, tell: Progress, *, update: bool) -> None:
        """Download a model into `work` and put it where it belongs."""
        kind, source, here = kind_of(self._source(name)), self._source(name), self._here(name, target)
        files = tuple(work / part for part in self._file_names(name))
        assert kind.fetch
        order = Order(name, source, files, tell, self._pins.of(name, update=update), here.hashes if here else ())
        fetched = kind.fetch(order)
        if here and fetched.hashes == here.hashes:
            self._keep(name, target, dataclasses.replace(here, revision=fetched.revision), files)
            return
        try:
            note = model_checks.noted(name, files, fetched.hashes, source, fetched.revision)
        except ModelFileError:
            for file in files:
                file.unlink()
            raise
        self._pins.write(name, note)
        self._folder.land(files, target, note)

    def _keep(self, name: str, target: Path, note: Note, fetched: tuple[Path, ...]) -> None:
        """The files that are here are what the source has; those that were fetched to find out go."""
        for file in fetched:
            file.unlink(missing_ok=True)
        self._folder.remember(target, note)
        self._pins.write(name, note)

    def _here(self, name: str, target: Path) -> Note | None:
        """What is known about the files that are here and whole, whatever is pinned."""
        try:
            return self._note_of_ours(name, target) if target.exists() else None
        except (ModelFileError, OSError):
            return None

    def _is_whole(self, name: str) -> bool:
        try:
            self._found(name)
        except ModelFileError:
            return False
        return True

    def _record(self, name: str) -> None:
        """Pin the model that is here, where nothing pins it yet."""
        note = self._folder.note(self._file(name))
        if note and self._pins.of(name) is None:
            self._pins.write(name, note)

    def _source(self, name: str) -> str:
        """Where a checked name's file comes from; empty for one made here, which its note knows."""
        if is_path(name):
            return PATH_PREFIX + name
        return self._defined[name].source if name in self._defined else ""

    def _file(self, name: str) -> Path:
        """Where the file of a checked name, or the first part of it, is or would be.

        Raises:
            ModelFileError: its source is a place on this machine that does not know it.
        """
        source = self._source(name)
        if source and (locate := kind_of(source).locate):
            return locate(source)
        model, quant = split(name)
        return self._folder.file(model, quant).with_name(self._file_names(name)[0])

    def _file_names(self, name: str) -> list[str]:
        source = self._source(name)
        count = kind_of(source).parts(source) if source else 1
        stem = self._folder.file(*split(name)).stem
        return [local_name(stem, number, count) for number in range(1, count + 1)]

    def _entry(self, name: str) -> ModelEntry:
        source = self._source(name)
        try:
            file = self._file(name)
        except ModelFileError:
            return ModelEntry(name, source, present=False, path="")
        return entry_of(name, source, file, self._folder.note(file), self._pins.of(name))


def _silent(_done: int, _total: int | None, _what: str) -> None:
    pass
