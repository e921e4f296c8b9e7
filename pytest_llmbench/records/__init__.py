"""The frozen records that travel between rooms. No I/O, no behaviour beyond reading themselves.

A number wears its unit in its name (`ttft_s`, `peak_rss_bytes`); `None` means "not measured", never 0.
Everything here converts to builtin types with `as_dict` and back with the class's `from_dict`, so it can cross a
process boundary or be stored as JSON.
"""

from pytest_llmbench.records.asked import Capabilities, Cost, DamagedSample, Limits, Price, Sample, Target
from pytest_llmbench.records.cached import QUESTIONS, CacheEntry, CacheStats, ModelShare
from pytest_llmbench.records.evaluation import Evaluation, Trial
from pytest_llmbench.records.judge_calibration import JudgeCalibration
from pytest_llmbench.records.labelled import Labelled
from pytest_llmbench.records.lane_state import LaneState
from pytest_llmbench.records.machine import Gpu, Host, ModelFile, ServerInfo, ServerSpec
from pytest_llmbench.records.matrix import Cell, CellState, Range, configuration_label
from pytest_llmbench.records.measurement import Label, Measurement, MonitorSample, Repetition, Series, Table
from pytest_llmbench.records.record import MalformedRecordError, Record
from pytest_llmbench.records.reply import Alike, FailedAttempt, Reply, Timing, ToolCall, Usage
from pytest_llmbench.records.run import Evidence, GateResult, Outcome, Run, TestResult
from pytest_llmbench.records.score import Score
from pytest_llmbench.records.summary import Figure, PastRun, Summary

__all__ = [
    "QUESTIONS",
    "Alike",
    "CacheEntry",
    "CacheStats",
    "Capabilities",
    "Cell",
    "CellState",
    "Cost",
    "DamagedSample",
    "Evaluation",
    "Evidence",
    "FailedAttempt",
    "Figure",
    "GateResult",
    "Gpu",
    "Host",
    "JudgeCalibration",
    "Label",
    "Labelled",
    "LaneState",
    "Limits",
    "MalformedRecordError",
    "Measurement",
    "ModelFile",
    "ModelShare",
    "MonitorSample",
    "Outcome",
    "PastRun",
    "Price",
    "Range",
    "Record",
    "Repetition",
    "Reply",
    "Run",
    "Sample",
    "Score",
    "Series",
    "ServerInfo",
    "ServerSpec",
    "Summary",
    "Table",
    "Target",
    "TestResult",
    "Timing",
    "ToolCall",
    "Trial",
    "Usage",
    "configuration_label",
]
