"""The calibrations of judges that a project keeps: a folder of small JSON files, to be committed and reviewed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from pytest_llmbench import clock
from pytest_llmbench.config import Resolved
from pytest_llmbench.config.kept_file import read_object, write_whole
from pytest_llmbench.config.strict_yaml import shown
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.judges.rubric import Rubric
from pytest_llmbench.judges.standing import Standing, standing
from pytest_llmbench.records import JudgeCalibration, Run
from pytest_llmbench.records.judge_calibration import FORMAT, FORMAT_VERSION
from pytest_llmbench.records.record import MalformedRecordError
from pytest_llmbench.results.judging import records_of

_MAX_BYTES = 100_000
_HINT = "`llmbench judge calibrate` writes it anew; or delete it"


def standing_of(resolved: Resolved, rubric: Rubric, judge: str, way_of_asking: str) -> Standing:
    """Whether a judge counts in this project; `way_of_asking` as `judges.standing` has it.

    Raises:
        ConfigError: a file of the folder is no calibration.
    """
    wanted = resolved.config.judges
    kept = read_all(resolved.calibrations_dir)
    return standing(kept, rubric, judge, way_of_asking, labels=wanted.labels, kappa=wanted.kappa)


def read_all(folder: Path) -> list[JudgeCalibration]:
    """All that a folder keeps, by file name; none where it is not there.

    Raises:
        ConfigError: a file is no calibration, and which.
    """
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def keep(resolved: Resolved, run: Run) -> list[Path]:
    """Keep what the calibrations of a run show; of several of one judge, asked in one way, that with the most labels.

    Args:
        resolved: says where.
        run: with its results.

    Raises:
        ConfigError: a file cannot be written.
    """
    at = clock.now().isoformat(timespec="seconds")
    most_last = sorted(records_of(run, at), key=lambda found: found.n)
    return list(dict.fromkeys(write(resolved.calibrations_dir, found) for found in most_last))


def write(folder: Path, found: JudgeCalibration) -> Path:
    """Keep a calibration in place of the one before, of the same rubric's version, judge and way of asking.

    Raises:
        ConfigError: it cannot be written there.
    """
    digest = hashlib.sha256(f"{found.rubric_hash} {found.judge} {found.request_hash}".encode()).hexdigest()[:12]
    path = folder / f"{_slug(found.rubric)}.{_slug(found.judge)}.{digest}.json"
    write_whole(path, json.dumps(found.as_dict(), indent=1) + "\n")
    return path


def _read(path: Path) -> JudgeCalibration:
    name, what = shown(path), "calibration of a judge"
    data = read_object(path, what, most_bytes=_MAX_BYTES, hint=_HINT)
    if data.get("format") != FORMAT:
        raise ConfigError(f"{name} is no {what}", hint=_HINT)
    if data.get("version") != FORMAT_VERSION:
        raise ConfigError(f"{name} is of another version of llmbench ({data.get('version')!r:.20})", hint=_HINT)
    return _checked(data, name)


def _checked(data: dict[str, object], name: str) -> JudgeCalibration:
    try:
        found = JudgeCalibration.from_dict(data)
    except MalformedRecordError as error:
        raise ConfigError(f"{name} is no calibration of a judge: {error}", hint=_HINT) from None
    bounded = (found.agreement, found.kappa, found.position, found.flips, found.length, found.family)
    numbers = all(each is None or (len(each) == 3 and all(map(_is_number, each))) for each in bounded)
    counts = all(
        len(each) == 2 and all(type(count) is int for count in each) and 0 <= each[0] <= each[1]
        for each in (found.sensitivity, found.specificity, found.canaries)
    )
    told = (found.rubric, found.rubric_hash, found.judge, found.at, found.run, found.request_hash)
    texts = all(isinstance(each, str) for each in told)
    if not (numbers and counts and texts and type(found.n) is int):
        raise ConfigError(f"{name} is no calibration of a judge: a number or text is of another kind", hint=_HINT)
    return found


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "judge"
