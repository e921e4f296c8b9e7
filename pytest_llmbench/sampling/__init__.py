"""Sampling: which samples of a use case are asked."""

from pytest_llmbench.sampling.choosing import Drawn, Sampling, Stratum, Weights, value_of
from pytest_llmbench.sampling.definition import SamplingDef, failing_ids, of, told

__all__ = ["Drawn", "Sampling", "SamplingDef", "Stratum", "Weights", "failing_ids", "of", "told", "value_of"]
