"""What a language model costs: dollars per million tokens read and written, as its provider lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_MOST = 10_000.0


class TokenPrice(NamedTuple):
    """Dollars per million tokens read and written."""

    read_usd: float
    written_usd: float

    def micro_usd(self, read: int, written: int) -> int:
        """Millionths of a dollar for so many tokens."""
        return round(read * self.read_usd + written * self.written_usd)


HAIKU = TokenPrice(1.0, 5.0)  # the list price of a Haiku-class Claude, rounded up


def token_prices(texts: Sequence[str]) -> tuple[TokenPrice, ...]:
    """Prices written as `1/5`: dollars per million tokens read and written. Raises ValueError, naming the one that is none."""
    return tuple(map(_price, texts))


def _price(text: str) -> TokenPrice:
    try:
        read, written = map(float, text.split("/"))
    except ValueError:
        read = written = -1.0
    if not (0 <= read < _MOST and 0 <= written < _MOST):
        raise ValueError(
            f"a price is two numbers, dollars per million tokens read and written, like 1/5, not {text!r}"
        )
    return TokenPrice(read, written)
