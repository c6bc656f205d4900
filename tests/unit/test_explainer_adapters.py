"""The clients of language models against a local server that fails in every known way."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from backend.adapters.claude import Claude
from backend.adapters.deadline import within
from backend.adapters.openai_compatible import OpenAiCompatible
from backend.domain.prompts import TEMPERATURE, BadAnswer, Prompt, read_answers
from backend.ports import ProviderFailed

PROMPT = Prompt("system", "<data>{}</data>", 200)
TEXT = '{"insights": [{"index": 0, "text": "The student made 5 inbound calls in 14 days."}]}'
SHORT_S = 0.7


def claude_answer(text: str, **fields: Any) -> bytes:
    body = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "stop_reason": "end_turn",
        "stop_sequence": None,
    }
    body |= {"content": [{"type": "text", "text": text}], "usage": {"input_tokens": 11, "output_tokens": 7}}
    return json.dumps(body | fields).encode()


def openai_answer(text: str | None, **fields: Any) -> bytes:
    body = {
        "choices": [{"message": {"content": text, **fields}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7},
    }
    return json.dumps(body).encode()


class Stub:
    """A server on a free port that answers as `mode` says and keeps the requests."""

    def __init__(self) -> None:
        self.mode = "good"
        self.requests: list[dict[str, Any]] = []
        self.released = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                """Quiet."""

            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                stub.requests.append(json.loads(self.rfile.read(size)))
                stub.answer(self, claude=self.path.endswith("/messages"))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler: Any, *, claude: bool) -> None:
        make: Any = claude_answer if claude else openai_answer
        if self.mode == "hangs":
            self.released.wait(20)
            return
        statuses = {"429": 429, "500": 500, "401": 401, "no temperature": 400}
        status, body = statuses.get(self.mode, 200), make(TEXT)
        if status != 200:
            body = b'{"type": "error", "error": {"type": "e", "message": "secret words of the server"}}'
        if self.mode == "no temperature":
            taken = "temperature" not in self.requests[-1]
            status, body = (
                (200, make(TEXT)) if taken else (400, body.replace(b"secret", b"temperature secret"))
            )
        bodies = {
            "truncated": make(TEXT)[:40],
            "wrong schema": b'{"hello": 1}',
            "huge": make("x" * 10_000_000),
        }
        bodies["refuses"] = make("", stop_reason="refusal") if claude else make(None, refusal="I will not")
        body = bodies.get(self.mode, body)
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        if self.mode != "drips":
            with contextlib.suppress(ConnectionError):  # who has read enough hangs up
                handler.wfile.write(body)
            return
        for place in range(len(body)):
            handler.wfile.write(body[place : place + 1])
            handler.wfile.flush()
            if self.released.wait(0.1):
                return


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    yield server
    server.close()


@pytest.fixture(params=["claude", "openai"])
def model(request: pytest.FixtureRequest, stub: Stub) -> Any:
    if request.param == "claude":
        return Claude("anthropic", "stub-1", base_url=stub.url, api_key="k")
    return OpenAiCompatible(stub.url + "/v1", "k", "stub-1")


def test_an_answer_comes_with_what_it_used(stub: Stub, model: Any) -> None:
    found = model.complete(PROMPT, 60)  # loading the SDK takes its time on a busy machine
    assert (found.text, found.input_tokens, found.output_tokens) == (TEXT, 11, 7)
    (asked,) = stub.requests
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("stub-1", TEMPERATURE, 200)
    assert "tools" not in asked


@pytest.mark.parametrize(
    ("mode", "retry"),
    [
        ("hangs", True),
        ("drips", True),
        ("429", True),
        ("500", True),
        ("truncated", True),
        ("refuses", False),
        ("401", False),
    ],
)
def test_every_failure_has_a_name_and_says_whether_to_try_again(
    stub: Stub, model: Any, mode: str, retry: bool
) -> None:
    model.complete(PROMPT, 60)  # the SDK is loaded, so that the time below is the server's
    stub.mode = mode
    with pytest.raises(ProviderFailed) as caught:
        model.complete(PROMPT, SHORT_S if mode in ("hangs", "drips") else 20)
    assert caught.value.retry is retry
    assert "secret" not in caught.value.reason


def test_an_answer_of_another_shape_is_not_taken_for_a_missing_key(stub: Stub, model: Any) -> None:
    stub.mode = "wrong schema"
    with pytest.raises(ProviderFailed, match="unreadable answer") as caught:
        model.complete(PROMPT, 20)
    assert caught.value.retry


@pytest.mark.parametrize("mode", ["wrong schema", "huge"])
def test_an_answer_that_is_none_is_refused_here_or_when_it_is_read(stub: Stub, model: Any, mode: str) -> None:
    stub.mode = mode
    with pytest.raises((ProviderFailed, BadAnswer)):
        read_answers(model.complete(PROMPT, 20).text, 1)


def test_a_model_that_takes_no_temperature_is_asked_without_from_then_on(stub: Stub) -> None:
    stub.mode = "no temperature"
    claude = Claude("anthropic", "stub-1", base_url=stub.url, api_key="k")
    with pytest.raises(ProviderFailed) as caught:
        claude.complete(PROMPT, 20)
    assert caught.value.retry
    assert claude.complete(PROMPT, 20).text == TEXT


def test_nobody_there_is_no_connection(stub: Stub, model: Any) -> None:
    stub.close()
    with pytest.raises(ProviderFailed) as caught:
        model.complete(PROMPT, 20)
    assert caught.value.retry


def test_bedrock_is_asked_for_its_model_by_address(stub: Stub) -> None:
    claude = Claude(
        "bedrock", base_url=stub.url, aws_region="eu-west-1", aws_access_key="a", aws_secret_key="b"
    )
    with pytest.raises(ProviderFailed):
        claude.complete(PROMPT, 20)  # the stub speaks the other API's words; what counts is what was asked
    assert claude.model.endswith("haiku-5-5")
    assert stub.requests[0]["max_tokens"] == 200


def test_what_a_call_raises_comes_through_and_what_hangs_is_given_up() -> None:
    release = threading.Event()
    with pytest.raises(KeyError):
        within(5, lambda: {}["x"])
    with pytest.raises(ProviderFailed):
        within(0.05, release.wait)
    release.set()
    assert within(5, lambda: 3) == 3
