"""Claude as an explainer: the Anthropic API or Amazon Bedrock, through the `anthropic` SDK. No tools, no memory.

Keys and addresses come from the SDK's own environment (ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL) or AWS's credential chain.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from backend.adapters.deadline import within
from backend.domain.prompts import TEMPERATURE, Prompt
from backend.ports import Completion, ProviderFailed

DEFAULT_MODELS = {"anthropic": "claude-haiku-5-5", "bedrock": "us.anthropic.claude-haiku-5-5"}
_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))


class Claude:
    """Implements Explainer. `options` go to the SDK's client (base_url, aws_region, ...)."""

    def __init__(self, source: str, model: str | None = None, **options: Any) -> None:
        """`source`: anthropic or bedrock."""
        self.source = source
        self.model = model or DEFAULT_MODELS[source]
        self._options = options
        self._client: Any = None
        self._temperature: float | None = TEMPERATURE  # None once the model has said that it takes none

    def complete(self, prompt: Prompt, timeout_s: float) -> Completion:
        return within(timeout_s, lambda: self._failing_by_name(lambda: self._ask(prompt, timeout_s)))

    def _ask(self, prompt: Prompt, timeout_s: float) -> Completion:
        extra = {} if self._temperature is None else {"temperature": self._temperature}
        answer = self._connected().messages.create(
            model=self.model,
            max_tokens=prompt.max_tokens,
            system=prompt.system,
            messages=[{"role": "user", "content": prompt.user}],
            thinking={"type": "disabled"},
            extra_body=extra,
            timeout=timeout_s,
        )
        return _read(answer)

    def _connected(self) -> Any:
        """The client, made when it is first needed: importing the SDK takes a second."""
        if self._client is None:
            import anthropic

            kind = {"anthropic": anthropic.Anthropic, "bedrock": anthropic.AnthropicBedrock}[self.source]
            self._client = kind(max_retries=0, **self._options)
        return self._client

    def _failing_by_name(self, ask: Callable[[], Completion]) -> Completion:
        """Any failure as ProviderFailed, with what is worth another try; never with what a server wrote."""
        import anthropic

        try:
            return ask()
        except ProviderFailed:
            raise
        except anthropic.APITimeoutError:
            raise ProviderFailed("no answer in time", retry=True) from None
        except anthropic.APIConnectionError:
            raise ProviderFailed("no connection", retry=True) from None
        except anthropic.APIStatusError as error:
            if error.status_code == 400 and self._temperature is not None and "temperature" in str(error):
                # Newer models choose it themselves and say so.
                self._temperature = None
                raise ProviderFailed("the model takes no temperature", retry=True) from None
            again = error.status_code in _AGAIN
            raise ProviderFailed(f"HTTP {error.status_code}", retry=again) from None
        except json.JSONDecodeError:
            raise ProviderFailed("unreadable answer", retry=True) from None
        except (TypeError, ValueError, anthropic.CredentialsError) as error:
            # The SDK's words for a missing key or region; nothing was sent.
            raise ProviderFailed(f"not set up ({type(error).__name__})", retry=False) from None
        except Exception as error:
            raise ProviderFailed(f"unreadable answer ({type(error).__name__})", retry=True) from None


def _read(answer: Any) -> Completion:
    """The text of an answer. The SDK does not check what a server sent: it may lack anything."""
    try:
        if answer.stop_reason == "refusal":
            raise ProviderFailed("refused to answer", retry=False)
        text = "".join(block.text for block in answer.content if block.type == "text")
        return Completion(text, answer.usage.input_tokens, answer.usage.output_tokens)
    except (AttributeError, TypeError):
        raise ProviderFailed("unreadable answer", retry=True) from None
