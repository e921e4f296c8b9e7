"""Servers of other makers as their documentation has them: scripted, on the loopback, one class each.

All answer `/v1/chat/completions` with the same words at the same pace, in the form and with the manners of their maker.
What they are taken from stands at each class.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

WORDS = ("The", " sky", " is", " blue", " because", " it", " scatters", " light")


class Foreign:
    """What all of them share; `seen` are the requests as (method, path)."""

    owned_by: ClassVar[str | None] = None
    model: ClassVar[str] = "m"

    def __init__(self, *, itl_s: float = 0.005, ttft_s: float = 0.02, key: str = "") -> None:
        self.itl_s, self.ttft_s, self.key = itl_s, ttft_s, key
        self.seen: list[tuple[str, str]] = []
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    def get(self, path: str) -> tuple[int, Any]:
        """Status, and JSON or a text."""
        if path == "/v1/models":
            card = {"id": self.model, "object": "model", "created": 1_700_000_000, **self.card()}
            return 200, {"object": "list", "data": [card]}
        return self.unknown("GET", path)

    def post(self, path: str, _body: dict[str, Any]) -> tuple[int, Any]:
        return self.unknown("POST", path)

    def card(self) -> dict[str, Any]:
        return {"owned_by": self.owned_by} if self.owned_by else {}

    def unknown(self, _method: str, path: str) -> tuple[int, Any]:
        return 404, {"error": {"code": 404, "message": f"no {path}"}}

    def events(self, words: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """The chunks of a streamed chat; the pace is kept by who sends them."""
        for word in words:
            yield {"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}]}
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
        yield {"choices": [], "usage": self.usage(words)}

    def usage(self, words: tuple[str, ...]) -> dict[str, Any]:
        return {"prompt_tokens": 12, "completion_tokens": len(words), "total_tokens": 12 + len(words)}

    def words(self, limit: int | None) -> tuple[str, ...]:
        return tuple(WORDS[place % len(WORDS)] for place in range(limit or len(WORDS)))

    def chatted(self, words: tuple[str, ...]) -> None:
        """A chat has been answered with these."""


class Ollama(Foreign):
    """After docs/api.md and docs/openai.md of ollama/ollama, and docs.ollama.com/api: durations in nanoseconds, streams
    of JSON lines under /api, no timings under /v1; a model is loaded by its first request."""

    owned_by = "library"
    model = "llama3.2"

    def __init__(self, *, loaded: bool = False, tells: float = 1.0, on_card: bool = False, **pace: Any) -> None:
        super().__init__(**pace)
        self.loaded, self.on_card = loaded, on_card
        self.version = "0.12.6"
        self.digest = "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72"
        self.tells = tells
        """What it tells of its decode speed / what it does."""

    def get(self, path: str) -> tuple[int, Any]:
        entry = {
            "name": "llama3.2:latest", "model": "llama3.2:latest", "size": 2_019_393_189,
            "digest": self.digest, "details": self.details(),
        }  # fmt: skip
        if path == "/":
            return 200, "Ollama is running"
        if path == "/api/version":
            return 200, {"version": self.version}
        if path == "/api/tags":
            return 200, {"models": [{**entry, "modified_at": "2026-05-04T17:37:44.706015396-07:00"}]}
        if path == "/api/ps":
            memory = {"size": 3_000_000_000, "size_vram": 2_400_000_000 if self.on_card else 0, "context_length": 4096}
            return 200, {"models": [{**entry, **memory, "expires_at": "2026-11-21T14:38:31Z"}] if self.loaded else []}
        return super().get(path)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if body.get("model") not in {self.model, f"{self.model}:latest"}:
            return 404, {"error": f"model '{body.get('model')}' not found"}
        if path == "/api/show":
            info = {
                "general.architecture": "llama", "general.parameter_count": 3_212_749_888,
                "llama.context_length": 131_072, "tokenizer.ggml.tokens": [],
            }  # fmt: skip
            return 200, {"modelfile": "FROM llama3.2", "details": self.details(), "model_info": info}
        if path == "/api/chat" and body.get("stream") is False:
            return 200, self.answer(int(body["options"]["num_predict"]))
        return self.unknown("POST", path)

    def answer(self, tokens: int) -> dict[str, Any]:
        load_ns, self.loaded = 5_025_959 if self.loaded else 1_838_113_000, True
        time.sleep(self.ttft_s + self.itl_s * (tokens - 1))
        return {
            "model": "llama3.2", "created_at": "2026-11-21T12:00:00.000000Z", "done": True, "done_reason": "length",
            "message": {"role": "assistant", "content": "".join(self.words(tokens))},
            "total_duration": load_ns + int(1e9 * (self.ttft_s + self.itl_s * tokens)), "load_duration": load_ns,
            "prompt_eval_count": 20, "prompt_eval_duration": int(1e9 * self.ttft_s),
            "eval_count": tokens, "eval_duration": int(1e9 * self.itl_s * tokens / self.tells),
        }  # fmt: skip

    def details(self) -> dict[str, Any]:
        return {
            "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
            "parameter_size": "3.2B", "quantization_level": "Q4_K_M",
        }  # fmt: skip

    def unknown(self, _method: str, _path: str) -> tuple[int, Any]:
        return 404, "404 page not found"

    def chatted(self, _words: tuple[str, ...]) -> None:
        self.loaded = True


class Vllm(Foreign):
    """After docs/usage/metrics.md and docs/design/metrics.md of vllm-project/vllm, and its OpenAI-compatible server:
    counters end in `_total`, histograms have `_sum` and `_count`, each sample names engine and model; `ignore_eos` is
    taken, `cache_prompt` is left alone, the last chunk of a stream has no choices and the usage."""

    owned_by = "vllm"
    model = "meta-llama/Llama-3.1-8B-Instruct"

    def __init__(self, *, others: int = 0, queued_s: float = 0.25, restarts: bool = False, **pace: Any) -> None:
        super().__init__(**pace)
        self.others, self.queued_s, self.restarts = others, queued_s, restarts
        self.finished, self.tokens, self.readings = 40, 9000, 0
        self.version = "0.11.2"

    def card(self) -> dict[str, Any]:
        return {"owned_by": "vllm", "root": "/models/llama-3.1-8b", "parent": None, "max_model_len": 8192}

    def get(self, path: str) -> tuple[int, Any]:
        if path == "/version":
            return 200, {"version": self.version}
        if path == "/metrics":
            self.readings += 1
            if self.restarts and self.readings == 2:
                self.finished = 1
            elif self.readings == 2:
                self.finished += self.others
            return 200, self.exposition()
        return super().get(path)

    def exposition(self) -> str:
        of = f'engine="0",model_name="{self.model}"'
        n, said = self.finished, self.tokens
        return "\n".join(
            [
                "# HELP vllm:num_requests_running Number of requests in model execution batches.",
                "# TYPE vllm:num_requests_running gauge",
                f"vllm:num_requests_running{{{of}}} {float(bool(self.others))}",
                f"vllm:num_requests_waiting{{{of}}} 0.0",
                f"vllm:kv_cache_usage_perc{{{of}}} 0.03",
                f"vllm:prefix_cache_queries_total{{{of}}} {100.0 * n}",
                f"vllm:prefix_cache_hits_total{{{of}}} {2.0 * n}",
                f"vllm:num_preemptions_total{{{of}}} 3.0",
                f"vllm:generation_tokens_total{{{of}}} {float(said)}",
                f'vllm:request_success_total{{{of},finished_reason="stop"}} 7.0',
                f'vllm:request_success_total{{{of},finished_reason="length"}} {float(n - 7)}',
                f'vllm:request_success_total{{{of},finished_reason="abort"}} 0.0',
                f'vllm:request_queue_time_seconds_bucket{{{of},le="0.3"}} {float(n)}',
                f"vllm:request_queue_time_seconds_sum{{{of}}} {5 + self.queued_s * (n - 40)}",
                f"vllm:request_queue_time_seconds_count{{{of}}} {float(n)}",
                f"vllm:time_to_first_token_seconds_sum{{{of}}} {0.5 * n}",
                f"vllm:time_to_first_token_seconds_count{{{of}}} {float(n)}",
                'vllm:cache_config_info{block_size="16",cache_dtype="auto",enable_prefix_caching="True"} 1.0',
                "process_start_time_seconds 1.76e+09",
                "",
            ]
        )

    def unknown(self, _method: str, _path: str) -> tuple[int, Any]:
        return 404, {"detail": "Not Found"}

    def events(self, words: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        yield {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
        for word in words:
            yield {"choices": [{"index": 0, "delta": {"content": word}, "logprobs": None, "finish_reason": None}]}
        yield {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "length", "stop_reason": None}]}
        yield {"choices": [], "usage": {**self.usage(words), "prompt_tokens_details": None}}

    def chatted(self, words: tuple[str, ...]) -> None:
        self.finished += 1
        self.tokens += len(words)


class LmStudio(Foreign):
    """After "List your models", "REST API v0" and the OpenAI-compatible endpoints of lmstudio.ai/docs: a path that it
    does not have is answered with status 200 and an error."""

    owned_by = "organization_owner"
    model = "gemma-3-270m-it-qat"

    def __init__(self, *, old: bool = False, loaded: bool = True, **pace: Any) -> None:
        super().__init__(**pace)
        self.old, self.loaded = old, loaded
        self.quantization = "Q4_0"

    def get(self, path: str) -> tuple[int, Any]:
        if path == "/api/v0/models":
            loaded = {"loaded_context_length": 4096} if self.loaded else {}
            model = {
                "id": self.model, "object": "model", "type": "llm", "publisher": "lmstudio-community",
                "arch": "gemma3", "compatibility_type": "gguf", "quantization": self.quantization,
                "state": "loaded" if self.loaded else "not-loaded", "max_context_length": 32_768, **loaded,
            }  # fmt: skip
            return 200, {"object": "list", "data": [model]}
        if path == "/api/v1/models" and not self.old:
            instances = [{"id": self.model, "config": {"context_length": 4096, "flash_attention": True}}]
            model = {
                "type": "llm", "publisher": "lmstudio-community", "key": self.model,
                "display_name": "Gemma 3 270m Instruct Qat", "architecture": "gemma3",
                "quantization": {"name": self.quantization, "bits_per_weight": 4}, "size_bytes": 241_410_208,
                "params_string": "270M", "loaded_instances": instances if self.loaded else [],
                "max_context_length": 32_768, "format": "gguf", "description": None,
            }  # fmt: skip
            return 200, {"models": [model]}
        return super().get(path)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path != "/api/v0/chat/completions":
            return self.unknown("POST", path)
        words, self.loaded = self.words(body["max_tokens"]), True
        said = {"role": "assistant", "content": "".join(words)}
        took_s = self.itl_s * len(words)
        time.sleep(self.ttft_s + took_s)
        return 200, {
            "id": "chatcmpl-i3gkjwthhw96whukek9tz", "object": "chat.completion", "model": self.model,
            "choices": [{"index": 0, "finish_reason": "stop", "message": said}],
            "usage": self.usage(words),
            "stats": {
                "tokens_per_second": len(words) / took_s, "time_to_first_token": self.ttft_s,
                "generation_time": took_s, "stop_reason": "maxPredictedTokensReached",
            },
            "model_info": {"arch": "gemma3", "quant": "Q4_0", "format": "gguf", "context_length": 4096},
            "runtime": {"name": "llama.cpp-linux-x86_64-avx2", "version": "1.3.0", "supported_formats": ["gguf"]},
        }  # fmt: skip

    def unknown(self, method: str, path: str) -> tuple[int, Any]:
        return 200, {"error": f"Unexpected endpoint or method. ({method} {path})"}

    def chatted(self, _words: tuple[str, ...]) -> None:
        self.loaded = True


class LocalAi(Foreign):
    """After "System Info and Version" and "OpenAI functions" of localai.io/docs: /version as vLLM has it, no owner of
    models, and a usage of zeros in every chunk but the last."""

    model = "my-llama-model"

    def __init__(self, *, old: bool = False, **pace: Any) -> None:
        super().__init__(**pace)
        self.old = old
        self.version = "v3.7.0 (a1b2c3d4)"

    def get(self, path: str) -> tuple[int, Any]:
        if path == "/version":
            return 200, {"version": self.version}
        if path == "/system":
            loaded: dict[str, Any] = {"id": self.model}
            if not self.old:
                process = {"pid": 4711, "rss_bytes": 700_000_000, "memory_percent": 8.4}
                loaded |= {"backend": "llama-cpp", "process": process, "size_vram": 900_000_000}
            return 200, {"backends": ["llama-cpp", "whisper"], "loaded_models": [loaded]}
        return super().get(path)

    def events(self, words: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        yield {"choices": [{"index": 0, "finish_reason": None, "delta": {"role": "assistant"}}], "usage": nothing}
        for word in words:
            yield {"choices": [{"index": 0, "finish_reason": None, "delta": {"content": word}}], "usage": nothing}
        yield {"choices": [{"index": 0, "finish_reason": "stop", "delta": {}}], "usage": self.usage(words)}


class LlamaCpp(Foreign):
    """After `GET /props` and `GET /v1/models` of tools/server/README.md of ggml-org/llama.cpp."""

    owned_by = "llamacpp"
    model = "smollm2"

    def __init__(self, **pace: Any) -> None:
        super().__init__(**pace)
        self.build = "b6730-e60f01d94"

    def card(self) -> dict[str, Any]:
        meta = {"vocab_type": 2, "n_vocab": 49152, "n_ctx_train": 8192, "n_params": 134_515_008, "size": 91_000_000}
        return {"owned_by": "llamacpp", "meta": meta}

    def get(self, path: str) -> tuple[int, Any]:
        if path == "/props":
            return 200, {
                "default_generation_settings": {"n_ctx": 4096}, "total_slots": 1, "chat_template": "",
                "model_path": "/models/smollm2-135m-Q4_1.gguf", "build_info": self.build,
            }  # fmt: skip
        return super().get(path)


class KoboldCpp(Foreign):
    """Another program that answers as Ollama and as llama.cpp do: `/api/version`, `/api/ps` and `/props`."""

    owned_by = "koboldcpp"
    model = "koboldcpp/model"

    def get(self, path: str) -> tuple[int, Any]:
        answers: dict[str, Any] = {
            "/": "<html>KoboldAI Lite</html>",
            "/api/version": {"version": "0.7.0"},
            "/api/ps": {"models": []},
            "/api/extra/version": {"result": "KoboldCpp", "version": "1.101"},
            "/props": {"default_generation_settings": {"n_ctx": 4096}, "total_slots": 1, "chat_template": ""},
        }
        return (200, answers[path]) if path in answers else super().get(path)


class Gateway(Foreign):
    """A web page in front of everything: any GET is answered with it."""

    def get(self, _path: str) -> tuple[int, Any]:
        return 200, "<html>Sign in</html>"


class Handler(BaseHTTPRequestHandler):
    """Asks the server's script what to say."""

    protocol_version = "HTTP/1.1"
    foreign: ClassVar[Foreign]

    def do_GET(self) -> None:
        if not self._is_refused("GET"):
            self._say(*self.foreign.get(self.path))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self._is_refused("POST"):
            return
        if self.path != "/v1/chat/completions":
            self._say(*self.foreign.post(self.path, body))
            return
        self.foreign.asked.append(body)
        self._stream(self.foreign.words(body.get("max_tokens")))

    def _is_refused(self, method: str) -> bool:
        self.foreign.seen.append((method, self.path))
        if not self.foreign.key or self.headers.get("authorization") == f"Bearer {self.foreign.key}":
            return False
        self._say(401, {"error": {"message": "Unauthorized"}})
        return True

    def _stream(self, words: tuple[str, ...]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        time.sleep(self.foreign.ttft_s)
        spoken = False
        for event in self.foreign.events(words):
            said = any(choice["delta"].get("content") for choice in event["choices"])
            if said and spoken:
                time.sleep(self.foreign.itl_s)
            spoken = spoken or said
            chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": self.foreign.model, **event}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.foreign.chatted(words)
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _say(self, status: int, told: Any) -> None:
        body = told.encode() if isinstance(told, str) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if isinstance(told, str) else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@contextmanager
def serving(foreign: Foreign) -> Iterator[Foreign]:
    """The server, listening; its address is `foreign.url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"foreign": foreign}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    foreign.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield foreign
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
