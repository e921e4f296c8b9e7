"""Who counts a model's tokens, and that they are right; what is estimated is marked."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_servers import raw_server, saying
from served_sessions import session_in

from pytest_llmbench.chunking import Chunking, Count, chunks, count_messages, counter_for, vocabulary
from pytest_llmbench.chunking.counters import Characters, Counter, OfFile, OfServer, OfTiktoken, OfVllm
from pytest_llmbench.chunking.counting import TOKENS_A_FILE, TOKENS_A_MESSAGE, most_tokens
from pytest_llmbench.clients import Endpoint
from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.datasets.modalities import server_capabilities
from pytest_llmbench.errors import Category, MissingExtraError, UsageError, WireError
from pytest_llmbench.records import Target
from pytest_llmbench.serving import local_model

TEXTS = [
    "",
    "Hello, world.",
    "Größe: 12,5 € — „schön“\n\n\tNext.",
    "一二三四五 六七八",
    "👩‍👩‍👧‍👦🏳️‍🌈 ok",
    "<|im_start|>system<|im_end|>",
    "half a pair \ud83d here",
    "a" * 3000,
    " \n\n\t " * 50,
    "\x00\x1b[2J\u202e\ufdfa",
]


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory) -> Path:
    """A byte-level tokenizer trained here, which cuts at 8 tokens, as files of embedding models do."""
    import tokenizers

    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(["Hello, world. The world is wide."] * 3, trainer)
    made.enable_truncation(8)
    made.enable_padding(length=8)
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(file))
    return file


@pytest.fixture(scope="module")
def tiktoken_counter() -> OfTiktoken:
    """Counts by a small vocabulary of tiktoken's form: single bytes, and two words."""
    import tiktoken

    ranks = {bytes([each]): each for each in range(256)} | {b"He": 256, b"ll": 257, b"Hell": 258, b"Hello": 259}
    pattern = r"\p{L}+|\p{N}|[^\p{L}\p{N}\s]|\s+"
    return OfTiktoken(tiktoken.Encoding("small", pat_str=pattern, mergeable_ranks=ranks, special_tokens={}))


def check_ends(counter: Counter, text: str) -> None:
    """As many ends as tokens, none falling, the last one at the text's end."""
    ends = counter.ends(text)
    assert len(ends) == counter.count(text).tokens
    assert list(ends) == sorted(ends)
    assert not ends or (ends[0] >= 0 and ends[-1] == len(text))


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_exact_counters_tell_how_many_tokens_there_are_and_where_they_end(text, tokenizer_file, tiktoken_counter):
    """Of hostile text, too: half a surrogate pair is a replacement character, a special token's name plain text."""
    for counter in (OfFile(tokenizer_file), tiktoken_counter):
        assert counter.exact
        check_ends(counter, text)


def test_a_tokenizer_file_counts_as_its_library_does(tokenizer_file):
    """But for its own limit of length: a count that stops at 8 would let every text fit."""
    import tokenizers

    library = tokenizers.Tokenizer.from_file(str(tokenizer_file))
    text = "The world is wide. " * 10
    assert len(library.encode(text, add_special_tokens=False).ids) == 8
    library.no_truncation()
    assert OfFile(tokenizer_file).count(text) == Count(
        len(library.encode(text, add_special_tokens=False).ids), exact=True, by="tokenizers tokenizer.json"
    )


def test_tiktoken_counts_as_its_library_does(tiktoken_counter):
    """Words of the vocabulary are one token, all else are bytes."""
    assert tiktoken_counter.count("Hello ä 1") == Count(6, exact=True, by="tiktoken small")
    assert tiktoken_counter.ends("Hello ä 1") == [5, 6, 6, 7, 8, 9]


def test_a_word_of_a_million_letters_takes_no_time_to_speak_of(tiktoken_counter):
    """tiktoken's own time grows with the square of a word's length; it gets such words in stretches."""
    text = "Hello" * 200_000
    assert tiktoken_counter.count(text).tokens == pytest.approx(200_000, rel=0.01)
    assert tiktoken_counter.ends(text)[-1] == len(text)


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_an_estimate_counts_any_text_and_says_that_it_is_one(text):
    """It never finds nothing in something, and its ends are as many as its tokens, but for a part of the last."""
    counter = Characters()
    count = counter.count(text)
    ends = counter.ends(text)
    assert not count.exact
    assert "estimated" in str(count)
    assert count.tokens >= bool(text)
    assert count.tokens - 1 <= len(ends) <= count.tokens
    assert list(ends) == sorted(ends)


def test_an_estimate_is_near_what_tokenizers_make_of_common_texts():
    """Figures of cl100k_base: English prose 5130 tokens of 21,586 characters; subtitles, tables and German likewise."""
    german = "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung aller."
    cue = "1\n00:01:05,000 --> 00:01:05,900\nWell, I think we should go on.\n\n"
    for text, tokens in ((german, 27), (cue * 10, 280), ("417,429,708.90,2026-11-12\n" * 10, 150)):
        assert 0.7 * tokens <= Characters().count(text).tokens <= 1.4 * tokens, text


@pytest.mark.usefixtures("smollm2")
def test_a_real_server_counts_by_its_own_tokenizer(tmp_path):
    """Pieces end where the text ends, whatever the text; a conversation is counted with its template."""
    with session_in(tmp_path) as session:
        model = local_model(session, "smollm2-135m:Q4_1")
        counter = counter_for(server=model.endpoint)
        assert isinstance(counter, OfServer)
        for text in TEXTS:
            check_ends(counter, text)
        count = counter.count("The quick brown fox jumps over the lazy dog.")
        assert (count.exact, count.by, count.tokens) == (True, "/tokenize of its server", 10)
        messages = [{"role": "user", "content": "Hello"}]
        asked = count_messages(messages, counter)
        assert asked.exact
        assert asked.tokens == model.ask("Hello", max_tokens=1).usage.prompt_tokens
        takes = server_capabilities(counter.api.props())
        assert (takes.images, takes.audio, takes.source) == (False, False, "its server")


@contextmanager
def vllm() -> Iterator[Endpoint]:
    """Answers `/tokenize` as vLLM's documentation has it: by count, a word a token, three around each message."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said = [each["content"] for each in body["messages"]] if "messages" in body else [body.get("prompt")]
            known = self.path == "/tokenize" and body.get("model") == "m" and None not in said
            count = sum(len(text.split()) + 3 * ("messages" in body) for text in said) if known else 0
            answer = json.dumps({"count": count, "max_model_len": 4096, "tokens": [1] * count}).encode()
            self.send_response(200 if known else 400)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    with served(Handler) as url:
        yield Endpoint(base_url=url, model_id="m", name="lab/m")


def test_a_vllm_server_counts_by_its_own_tokenizer():
    """Texts and conversations exactly; where tokens end is estimated, which chunks make good by counting again."""
    text = "The quick brown fox jumps over the lazy dog. " * 30
    with vllm() as endpoint:
        counter = counter_for(server=lambda: endpoint)
        assert isinstance(counter, OfVllm)
        for each in (text, "", "word", " \n", "一二三"):
            check_ends(counter, each)
        assert counter.count(text) == Count(270, exact=True, by="/tokenize of its server")
        messages = [{"role": "user", "content": "one two"}, {"role": "assistant", "content": "three"}]
        assert count_messages(messages, counter) == Count(9, exact=True, by="/tokenize of its server")
        found = chunks(text, 50, Chunking(by="sentence"), counter)
    assert max(chunk.tokens for chunk in found) in range(36, 51)


def test_a_server_without_pieces_is_told():
    """An old llama.cpp answers with bare ids."""
    body = b'{"tokens": [1, 2]}'
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    with raw_server(saying(answer)) as address:
        endpoint = Endpoint(base_url=f"http://{address}", model_id="m", name="m")
        api = LlamaApi(lambda: endpoint, vocabulary._DEADLINES)
        with pytest.raises(WireError, match="no pieces of tokens") as failed:
            api.pieces("a")
    assert failed.value.category == Category.STREAM_MALFORMED


def test_a_conversation_is_its_texts_and_stated_numbers_for_the_rest(tiktoken_counter):
    """Not exact: what a provider's template puts around messages is assumed, and what a picture counts."""
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [
        {"role": "system", "content": "Hello"},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}, part]},
        {"role": "assistant", "content": None},
    ]
    count = count_messages(messages, tiktoken_counter)
    assert count == Count(2 + 3 * TOKENS_A_MESSAGE + TOKENS_A_FILE, exact=False, by="tiktoken small, and 4 a message")
    assert most_tokens(messages) >= count.tokens


@given(st.lists(st.text(max_size=200), max_size=3))
@settings(max_examples=100, deadline=None)
def test_what_is_known_without_counting_is_never_less_than_what_is_counted(texts):
    """Bytes bound tokens: what surely fits is not counted at all."""
    messages = [{"role": "user", "content": text} for text in texts]
    assert most_tokens(messages) >= count_messages(messages, Characters()).tokens


def target(name: str, model_id: str) -> Target:
    """A model of a provider."""
    provider = name.partition("/")[0]
    return Target(name=name, provider=provider, model_id=model_id, format="openai", base_url="https://x.invalid/v1")


def test_what_is_declared_counts_before_all_else(tokenizer_file):
    """A file, a vocabulary by name, or characters; anything else is told."""
    assert counter_for(target("lab/m", "m"), tokenizer=str(tokenizer_file)).by == "tokenizers tokenizer.json"
    assert counter_for(target("openai/gpt-4o", "gpt-4o"), tokenizer="characters").by == "by its characters"
    with pytest.raises(UsageError, match="'words' is no tokenizer"):
        counter_for(tokenizer="words")
    with pytest.raises(UsageError, match=r"there is no vocabulary 'o200k'.*did you mean 'o200k_base'"):
        counter_for(tokenizer="tiktoken:o200k")


def test_a_file_that_is_no_tokenizer_is_told(tmp_path):
    """By its name, and what one would be."""
    file = tmp_path / "tokenizer.json"
    with pytest.raises(UsageError, match=r"tokenizer\.json cannot be read: No such file"):
        OfFile(file)
    file.write_text('{"version": "1.0"}')
    with pytest.raises(UsageError, match=r"tokenizer.json is no tokenizer"):
        OfFile(file)


def test_a_model_that_nobody_knows_is_counted_by_characters():
    """Of a provider other than OpenAI; of a server that is no llama.cpp; of an OpenAI model of another kind."""
    assert counter_for(target("lab/m", "m")).by == "by its characters"
    assert counter_for(target("openai/whisper-9", "whisper-9")).by == "by its characters"
    answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
    with raw_server(saying(answer)) as address:
        endpoint = Endpoint(base_url=f"http://{address}", model_id="m", name="m")
        assert counter_for(server=lambda: endpoint).by == "by its characters"


def test_without_its_vocabulary_an_openai_model_is_estimated_and_told_why(tmp_path, monkeypatch):
    """Offline nothing is fetched; what was declared and cannot be had is an error instead."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    counter = counter_for(target("openai/gpt-4o-mini", "gpt-4o-mini"), offline=True)
    assert not counter.exact
    assert "o200k_base.tiktoken is not in tiktoken's cache" in counter.by
    with pytest.raises(UsageError, match="'tiktoken:cl100k_base' cannot be had"):
        counter_for(tokenizer="tiktoken:cl100k_base", offline=True)


def test_without_tiktoken_an_openai_model_is_estimated_and_told_why(monkeypatch):
    """Declared by name, it is the extra that is asked for."""
    monkeypatch.setitem(__import__("sys").modules, "tiktoken", None)
    assert "tiktoken is not installed" in counter_for(target("openai/gpt-5-mini", "gpt-5-mini")).by
    with pytest.raises(MissingExtraError, match=r"pytest-llmbench\[tokens\]"):
        counter_for(tokenizer="tiktoken:o200k_base")


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A loopback server; yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def home_of(content: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server of vocabularies; yields where it is, and the paths that were asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    with served(Handler) as url:
        yield url, asked


def test_a_vocabulary_is_fetched_once_and_checked(tmp_path, monkeypatch):
    """Into tiktoken's own cache; what is not the vocabulary that tiktoken states is not kept."""
    import base64

    lines = [base64.b64encode(bytes([each])) + b" %d\n" % each for each in range(256)]
    content = b"".join(lines)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))
    with home_of(content) as (home, asked):
        with pytest.raises(WireError, match="what came is not that vocabulary"):
            vocabulary.encoding("cl100k_base", home=home)
        assert not (tmp_path / "cache").exists()
        files = {"cl100k_base": ("cl100k_base.tiktoken", hashlib.sha256(content).hexdigest())}
        monkeypatch.setattr(vocabulary, "_FILES", files)
        monkeypatch.setattr("tiktoken.load.check_hash", lambda data, _: data == content)
        monkeypatch.setattr("tiktoken.registry.ENCODINGS", {})  # it keeps what it has made for good
        for _ in range(2):
            assert vocabulary.encoding("cl100k_base", home=home).encode_ordinary("ab") == [97, 98]
    assert asked == ["/cl100k_base.tiktoken"] * 2
    assert [each.read_bytes() for each in (tmp_path / "cache").iterdir()] == [content]
