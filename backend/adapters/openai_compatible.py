"""Any server with an OpenAI-style chat API as an explainer, over the standard library's HTTP client."""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import urlsplit

import msgspec

from backend.adapters.deadline import within
from backend.domain.prompts import TEMPERATURE, Prompt
from backend.ports import Completion, ProviderFailed

DEFAULT_MODEL = "gpt-4o-mini"
MAX_BODY = 262_144
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class OpenAiCompatible:
    """Implements Explainer. `url` is the API's base, for instance https://api.example/v1."""

    source = "openai"

    def __init__(self, url: str, key: str | None, model: str | None = None) -> None:
        self.model = model or DEFAULT_MODEL
        self._url, self._key = urlsplit(url), key

    def complete(self, prompt: Prompt, timeout_s: float) -> Completion:
        return within(timeout_s, lambda: self._ask(prompt, timeout_s))

    def _ask(self, prompt: Prompt, timeout_s: float) -> Completion:
        messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
        body = msgspec.json.encode(
            {
                "model": self.model,
                "messages": messages,
                "temperature": TEMPERATURE,
                "max_tokens": prompt.max_tokens,
                "response_format": {"type": "json_object"},
            }
        )
        try:
            status, answer = self._post(body, timeout_s)
        except TimeoutError:
            raise ProviderFailed("no answer in time", retry=True) from None
        except (OSError, http.client.HTTPException) as error:
            raise ProviderFailed(f"no connection ({type(error).__name__})", retry=True) from None
        if status != 200:
            raise ProviderFailed(f"HTTP {status}", retry=status in _AGAIN)
        if len(answer) > MAX_BODY:
            raise ProviderFailed("answer too large", retry=False)
        return _read(answer)

    def _post(self, body: bytes, timeout_s: float) -> tuple[int, bytes]:
        host, port = self._url.hostname or "", self._url.port
        connection: http.client.HTTPConnection
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        headers = {"content-type": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        try:
            connection.request("POST", f"{self._url.path.rstrip('/')}/chat/completions", body, headers)
            response = connection.getresponse()
            return response.status, response.read(MAX_BODY + 1)
        finally:
            connection.close()


def _read(body: bytes) -> Completion:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, RecursionError):
        raise ProviderFailed("unreadable answer", retry=True) from None
    message = answer.choices[0].message if answer.choices else _Message()
    if message.refusal or message.content is None:
        raise ProviderFailed("refused to answer", retry=False)
    usage = answer.usage or _Usage()
    return Completion(message.content, usage.prompt_tokens, usage.completion_tokens)
