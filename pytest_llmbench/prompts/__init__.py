"""Prompts: how a use case's samples become the messages that models are asked."""

from pytest_llmbench.prompts.definition import of
from pytest_llmbench.prompts.prompt import BASE, DEFAULT_SYSTEM, Label, Mode, Prompt
from pytest_llmbench.prompts.schema import PromptDef

__all__ = ["BASE", "DEFAULT_SYSTEM", "Label", "Mode", "Prompt", "PromptDef", "of"]
