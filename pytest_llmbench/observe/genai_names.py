"""What spans call things: OpenTelemetry's names for generative AI, frozen here, and our own beside them.

The conventions are still in development and have changed their shape several times. All that we write stands in this
table, so a later version of them is one change, with a new `VERSION`; docs/reference/traces.md is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

VERSION = "1.41.1"
"""Of OpenTelemetry's semantic conventions: the last one with all of these names, before those of generative AI moved
into a registry of their own."""

SCOPE = "pytest_llmbench"
"""Who made the spans (the instrumentation scope)."""


class Name(NamedTuple):
    """An attribute: its key, and what it says."""

    key: str
    meaning: str


OPERATION = Name("gen_ai.operation.name", "always `chat`")
PROVIDER = Name("gen_ai.provider.name", "who was asked, by the conventions' name for it where they have one")
REQUEST_MODEL = Name("gen_ai.request.model", "the model as its server calls it")
MAX_TOKENS = Name("gen_ai.request.max_tokens", "the longest answer asked for")
TEMPERATURE = Name("gen_ai.request.temperature", "as it was sent")
TOP_P = Name("gen_ai.request.top_p", "as it was sent")
TOP_K = Name("gen_ai.request.top_k", "as it was sent")
SEED = Name("gen_ai.request.seed", "as it was sent")
FREQUENCY_PENALTY = Name("gen_ai.request.frequency_penalty", "as it was sent")
PRESENCE_PENALTY = Name("gen_ai.request.presence_penalty", "as it was sent")
STOP = Name("gen_ai.request.stop_sequences", "as they were sent")
STREAM = Name("gen_ai.request.stream", "whether the answer was streamed")
OUTPUT_TYPE = Name("gen_ai.output.type", "`json` where the request asks for JSON")
RESPONSE_MODEL = Name("gen_ai.response.model", "the model that answered, as its server says")
FINISH_REASONS = Name("gen_ai.response.finish_reasons", "why the answer ended")
FIRST_CHUNK = Name("gen_ai.response.time_to_first_chunk", "`ttft_s`: request written to first generated token")
INPUT_TOKENS = Name("gen_ai.usage.input_tokens", "all tokens of the prompt, cached ones among them")
OUTPUT_TOKENS = Name("gen_ai.usage.output_tokens", "all tokens of the answer, reasoning among them")
CACHE_READ = Name("gen_ai.usage.cache_read.input_tokens", "of the prompt, read from the provider's cache")
CACHE_WRITTEN = Name("gen_ai.usage.cache_creation.input_tokens", "of the prompt, written to the provider's cache")
REASONING_TOKENS = Name("gen_ai.usage.reasoning.output_tokens", "of the answer, reasoning")
INPUT_MESSAGES = Name("gen_ai.input.messages", "what was asked, as JSON; only with `request_log: content`")
OUTPUT_MESSAGES = Name("gen_ai.output.messages", "what was answered, as JSON; only with `request_log: content`")
SERVER_ADDRESS = Name("server.address", "the host that was asked")
SERVER_PORT = Name("server.port", "its port")
ERROR_TYPE = Name("error.type", "the [error category](exit-codes.md) of what failed")
STATUS_CODE = Name("http.response.status_code", "of a failure, where a response came")

CALL = Name("llmbench.call_id", "of this attempt alone, as in the request log")
CORRELATION = Name(
    "llmbench.correlation_id",
    "run/test/sample/trial/attempt, as `id` in the request log: all that is asked for a sample has it, of judges too",
)
RUN = Name("llmbench.run", "the run's id")
TEST = Name("llmbench.test", "the test's stable key")
SAMPLE = Name("llmbench.sample", "the sample's id")
USE_CASE = Name("llmbench.use_case", "the use case's name")
TRIAL = Name("llmbench.trial", "how many times the test asked the same before")
ATTEMPT = Name("llmbench.attempt", "which attempt at the same question, from 1")
ATTEMPTS = Name("llmbench.attempts", "of a question: how many it took; 1 where the next was promised and not made")
RETRY_IN = Name("llmbench.retry_in_s", "of a failure: after so many seconds it is tried again")
ROLE = Name("llmbench.role", "`subject`, `judge` or `chat`")
MODEL = Name("llmbench.model", "the model as users write it")
OUTCOME = Name("llmbench.outcome", "of a call: `answered`, `cached`, `failed`, `cancelled`; of a test: its outcome")
REQUEST_HASH = Name("llmbench.request_hash", "the same hash, the same question")
COST = Name("llmbench.cost_usd", "what it cost, in US dollars as decimal text; absent where unknown")
COST_SOURCE = Name("llmbench.cost_source", "who told: `billed`, `priced`, `free`, ...")
ESTIMATED = Name("llmbench.usage_estimated", "true where the tokens are our estimate")
EXIT_CODE = Name("llmbench.exit_code", "of a run that ended")
TEST_NAME = Name("test.case.name", "the test's node id")
TEST_STATUS = Name("test.case.result.status", "`pass` or `fail`; absent where a test says nothing of the model")

EVALUATION = "gen_ai.evaluation.result"
"""The event of one score."""
EVALUATION_NAME = Name("gen_ai.evaluation.name", "the validator, judge or `assert`")
EVALUATION_VALUE = Name("gen_ai.evaluation.score.value", "0 to 1")
EVALUATION_LABEL = Name("gen_ai.evaluation.score.label", "`pass` or `fail`")
EVALUATION_TEXT = Name("gen_ai.evaluation.explanation", "why; only with `request_log: content`")
JUDGED = Name("llmbench.judged", "whether a model judged")

OF_CALLS = (
    *(OPERATION, PROVIDER, REQUEST_MODEL, MAX_TOKENS, TEMPERATURE, TOP_P, TOP_K, SEED, FREQUENCY_PENALTY),
    *(PRESENCE_PENALTY, STOP, STREAM, OUTPUT_TYPE, RESPONSE_MODEL, FINISH_REASONS, FIRST_CHUNK, INPUT_TOKENS),
    *(OUTPUT_TOKENS, CACHE_READ, CACHE_WRITTEN, REASONING_TOKENS, INPUT_MESSAGES, OUTPUT_MESSAGES, SERVER_ADDRESS),
    *(
        SERVER_PORT,
        ERROR_TYPE,
        STATUS_CODE,
        CALL,
        CORRELATION,
        RUN,
        TEST,
        SAMPLE,
        USE_CASE,
        TRIAL,
        ATTEMPT,
        RETRY_IN,
        ROLE,
    ),
    *(MODEL, OUTCOME, REQUEST_HASH, COST, COST_SOURCE, ESTIMATED),
)
OF_QUESTIONS = (RUN, TEST, SAMPLE, TRIAL, ROLE, MODEL, OUTCOME, ATTEMPTS, ERROR_TYPE)
OF_TESTS = (RUN, TEST, TEST_NAME, TEST_STATUS, SAMPLE, USE_CASE, MODEL, OUTCOME, ERROR_TYPE)
OF_RUNS = (RUN, EXIT_CODE)
OF_EVALUATIONS = (EVALUATION_NAME, EVALUATION_VALUE, EVALUATION_LABEL, EVALUATION_TEXT, JUDGED, ERROR_TYPE)

PROVIDERS: Mapping[str, str] = {
    "": "llama.cpp",
    "azure": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
}
"""Our name for a provider → the conventions'; all others are called as we call them. A model of this machine has no
provider, and llama.cpp serves it."""
