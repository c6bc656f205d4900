"""Prices of language models, as they are written in the settings."""

from __future__ import annotations

import pytest

from backend.domain.token_prices import HAIKU, TokenPrice, token_prices
from backend.runtime.settings import BadSetting, read


def test_prices_are_read_in_the_order_of_the_models() -> None:
    assert token_prices(("3/15", "0.5/2")) == (TokenPrice(3.0, 15.0), TokenPrice(0.5, 2.0))


def test_tokens_are_paid_by_the_million() -> None:
    assert HAIKU.micro_usd(1_000_000, 200_000) == 2_000_000


@pytest.mark.parametrize("text", ["1", "1/2/3", "one/5", "-1/5", "1/nan", "1/inf", "/"])
def test_what_is_no_price_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="like 1/5"):
        token_prices((text,))


def test_the_setting_refuses_it_as_well() -> None:
    assert read({"IOPS_LLM_PRICE": "3/15, 0.5/2"}).llm_price == ("3/15", "0.5/2")
    with pytest.raises(BadSetting, match="IOPS_LLM_PRICE"):
        read({"IOPS_LLM_PRICE": "cheap"})
