"""Corruption: the same samples asked again with damaged input, for how well models stand it.

Pure functions (text, strength, seed) → text, in a table that own functions are registered into.
"""

from pytest_llmbench.corruption.damage import Damage
from pytest_llmbench.corruption.damaging import Applied, applied
from pytest_llmbench.corruption.declared import Corruption, declared_all, named_all
from pytest_llmbench.corruption.definition import CorruptionDef
from pytest_llmbench.corruption.registry import CORRUPTIONS, corruption

__all__ = [
    "CORRUPTIONS",
    "Applied",
    "Corruption",
    "CorruptionDef",
    "Damage",
    "applied",
    "corruption",
    "declared_all",
    "named_all",
]
