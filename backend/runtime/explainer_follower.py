"""Explains in the background: alerts that opened and students or tutors that moved to a worse segment. Nothing waits for it."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

from backend.domain import evidence, insights
from backend.domain.insights import Case
from backend.domain.times import DAY, HOUR, MINUTE, SECOND
from backend.domain.token_prices import token_prices
from backend.ports import Explainer
from backend.runtime.following import Follower
from backend.runtime.settings import Settings
from backend.services import cases
from backend.services.explaining import Chain, Limits, cost_usd, day_of
from backend.services.insights import asked_since, expired

log = logging.getLogger("iops.explainer")
LOOK_SECONDS = 0.5
AT_ONCE = 20  # alerts explained in one round
RENEW_US = 5 * MINUTE  # how often insights are looked through for those that are a day old
COMPARE_US = 5 * SECOND  # how often segments are compared
MOST_MOVED = 50  # changes of segment explained in one comparison; a whole history at once is no news


class ExplainerFollower(Follower):
    """`store` implements Feed, Reads and Insights; `chain` is the only user of the language models."""

    def __init__(
        self, store: Any, chain: Chain, clock: Callable[[], int], stopping: threading.Event | None = None
    ) -> None:
        """`stopping` is what the chain sleeps on, if it does."""
        super().__init__("explainer-follower", log, "could not explain; trying again", LOOK_SECONDS, stopping)
        self._store, self._chain, self._clock = store, chain, clock
        self._seen: int | None = None
        self._segments: dict[tuple[str, str], str] | None = None
        self._compared_us, self._compared_change = 0, -1
        self._pruned_us = 0
        self._asked_us = clock()
        self._renewed_us = clock()

    def figures(self) -> dict[str, float]:
        """Meters of today for /metrics."""
        usage = self._store.llm_usage(day_of(self._clock()))
        explained = usage.get("explained", 0)
        states = [breaker.state(self._clock()) for breaker in self._chain.breakers.values()]
        return {
            "insights_explained_today": explained,
            "insights_withheld_today": usage.get("withheld", 0),
            "llm_calls_today": usage.get("calls", 0),
            "llm_failures_today": usage.get("failures", 0),
            "llm_input_tokens_today": usage.get("input_tokens", 0),
            "llm_output_tokens_today": usage.get("output_tokens", 0),
            "llm_cost_usd_today": cost_usd(usage),
            "llm_fallback_ratio": 1 - usage.get("worded", 0) / explained if explained and states else 0.0,
            "llm_breaker_open": float("open" in states),
        }

    def look(self) -> bool:
        now_us = self._clock()
        self._prune(now_us)
        change = self._store.last_change()
        more = [*self._moved(now_us, change), *self._renewed(now_us)]
        if change == self._seen and not more:
            return False
        opened = self._alert_cases(now_us)
        done = self._chain.explain([*opened, *more, *self._asked(now_us)])
        if done:
            self._store.save_insights(done, self._clock())
            if log.isEnabledFor(logging.DEBUG):
                alert_ids = [insight.alert_id for insight in done if insight.alert_id]
                said = {"insights": [insight.insight_id for insight in done]}
                log.debug("explained", extra=said | {"requests": self._store.requests_of_alerts(alert_ids)})
        self._seen = change
        return len(opened) == AT_ONCE

    def _alert_cases(self, now_us: int) -> list[Case]:
        return [cases.of_alert(self._store, alert, now_us) for alert in self._store.unexplained(AT_ONCE)]

    def _moved(self, now_us: int, change: int) -> list[Case]:
        """Cases of those who moved to a worse segment since the last comparison; the first one only remembers."""
        soon = now_us - self._compared_us < COMPARE_US
        if self._segments is not None and (soon or change == self._compared_change):
            return []
        before, self._segments = self._segments, self._store.segments()
        self._compared_us, self._compared_change = now_us, change
        if before is None:
            return []
        moved = [key for key, segment in self._segments.items() if before.get(key, segment) != segment]
        worse = [key for key in moved if (key[0], self._segments[key]) in evidence.WORSE]
        found = []
        for key in worse[:MOST_MOVED]:
            case = cases.of_segment(self._store, key, before[key], self._segments[key], now_us)
            if case is not None:
                found.append(case)
        return found

    def _renewed(self, now_us: int) -> list[Case]:
        """Cases of living alerts whose insight has expired."""
        if now_us - self._renewed_us < RENEW_US:
            return []
        self._renewed_us = now_us
        return [cases.of_alert(self._store, alert, now_us) for alert in expired(self._store, now_us, AT_ONCE)]

    def _asked(self, now_us: int) -> list[Case]:
        """Cases of those somebody asked about; rules have answered already, so only a model has more to say."""
        if not self._chain.has_models:
            return []
        asks = asked_since(self._store, self._asked_us)
        self._asked_us = max((at_us for _, _, at_us in asks), default=self._asked_us)
        return [cases.of_entity(self._store, (kind, entity_id), now_us) for kind, entity_id, _ in asks]

    def _prune(self, now_us: int) -> None:
        if now_us - self._pruned_us >= HOUR:
            self._pruned_us = now_us
            self._store.prune_insights(now_us - insights.KEEP_DAYS * DAY)


def follower(store: Any, settings: Settings, clock: Callable[[], int]) -> ExplainerFollower:
    """The follower with what the settings ask for."""
    stopping = threading.Event()
    limits = Limits(
        settings.llm_daily_calls,
        settings.llm_rate_per_minute,
        settings.llm_share,
        float(settings.llm_daily_usd),
        token_prices(settings.llm_price),
    )
    chance = random.Random().random
    chain = Chain(store, providers(settings), clock, stopping.wait, chance, limits)
    return ExplainerFollower(store, chain, clock, stopping)


def providers(settings: Settings) -> Sequence[Explainer]:
    """The language models of the settings, first choice first; none of them connects before it is needed."""
    from backend.adapters.claude import Claude
    from backend.adapters.openai_compatible import OpenAiCompatible

    found: list[Explainer] = []
    for place, name in enumerate(settings.llm):
        model = settings.llm_model[place] if place < len(settings.llm_model) else None
        if name == "openai":
            url = settings.llm_url or "https://api.openai.com/v1"
            found.append(OpenAiCompatible(url, settings.llm_key, model))
        else:
            found.append(Claude(name, model))
    return found
