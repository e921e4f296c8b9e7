"""What asks a model over HTTP: one file per wire format, and `Model`, which tests hold."""

from pytest_llmbench.clients.model import Model
from pytest_llmbench.clients.openai import chat
from pytest_llmbench.clients.request import ChatRequest, Endpoint, Message

__all__ = ["ChatRequest", "Endpoint", "Message", "Model", "chat"]
