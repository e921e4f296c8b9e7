"""What a model answers to the sample of a test."""

from __future__ import annotations

import pytest

from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients import ChatRequest, Model
from pytest_llmbench.clients.model import request_of
from pytest_llmbench.datasets import Dataset, Datasets, Declared
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Reply, Sample
from pytest_llmbench.serving import ApiModel, ServedModel

PLANNED: pytest.StashKey[Question] = pytest.StashKey()
"""Of a test that takes `reply`: what was asked for ahead of it."""


def declared(item: pytest.Item, datasets: Datasets) -> Declared:
    """What a test's `dataset` marker says.

    Raises:
        UsageError: there is none, or its arguments are none.
    """
    __tracebackhide__ = True
    return datasets.declared(item.get_closest_marker("dataset"), item.path.parent)


def dataset_of(item: pytest.Item, datasets: Datasets) -> Dataset:
    """The dataset that a test is marked with.

    Raises:
        UsageError: there is none, or the file is none; with file and line.
    """
    __tracebackhide__ = True
    return datasets.of(item.get_closest_marker("dataset"), item.path.parent)


def request_for(model: str, sample: Sample, said: Declared) -> ChatRequest:
    """How a model is asked a sample of a dataset that was declared so."""
    return request_of(model, sample, **said.options)


def reply_to(item: pytest.Item, model: Model, sample: Sample, datasets: Datasets) -> Reply:
    """What the model answers to the sample of a test."""
    __tracebackhide__ = True
    if not isinstance(model, ServedModel):
        raise UsageError("the fixture `reply` asks models of ours; a `model` of your own is asked by yourself")
    planned = item.stash.get(PLANNED, None)
    if planned is not None and isinstance(model, ApiModel):
        return model.answer(planned)
    return model.answers([request_for(model.name, sample, declared(item, datasets))])[0]
