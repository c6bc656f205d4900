"""Explaining on AWS: one announcement of the bus at a time, with the same chain as the engine's."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from backend.domain.insights import Case, Insight
from backend.domain.token_prices import token_prices
from backend.ports import Explainer
from backend.runtime.aws import Installation
from backend.services import cases
from backend.services.announcements import CHANGED, OPENED, SEGMENT
from backend.services.explaining import Chain, Limits, cost_usd

# Reasons for the rules' own wording that are no failure of a language model.
_QUIET = frozenset(("off", "not enough evidence", "explained a moment ago"))
_THROTTLED = "HTTP 429"
LATELY = 5  # insights of an entity that are looked through for one that a model worded


class Explained(NamedTuple):
    """What was said, and what it took."""

    insights: list[Insight]
    cost_usd: float

    @property
    def fallbacks(self) -> int:
        return sum(i.source == "rules" and i.reason not in _QUIET for i in self.insights)

    @property
    def throttles(self) -> int:
        return sum(i.reason == _THROTTLED for i in self.insights)

    def by_source(self) -> dict[str, int]:
        return dict(Counter(insight.source for insight in self.insights))


class _Metered:
    """A store that also remembers what the language model used through it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.used: Counter[str] = Counter()

    def add_llm_usage(self, day_us: int, counts: Mapping[str, int]) -> None:
        self.used.update(counts)
        self._store.add_llm_usage(day_us, counts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class AwsExplainer:
    """Kept for as long as the process lives: its breakers remember who failed."""

    def __init__(self, home: Installation) -> None:
        self._home = home
        self._store = _Metered(home.store)
        settings = home.settings
        limits = Limits(
            settings.llm_daily_calls,
            share=settings.llm_share,
            daily_usd=settings.llm_daily_usd,
            prices=token_prices(settings.llm_price),
        )
        pause, chance = threading.Event().wait, random.Random().random
        self._chain = Chain(self._store, providers(home), home.clock, pause, chance, limits)

    def explain(self, kind: str, detail: Mapping[str, Any]) -> Explained:
        """Explain what the announcement is about, once, and keep it. Raises Unavailable."""
        now_us = self._home.clock()
        self._store.used.clear()
        case = self._case(kind, detail, now_us)
        if case is not None:
            self._remember(case)
        made = self._chain.explain([case]) if case is not None else []
        if made:
            self._store.save_insights(made, self._home.clock(), detail.get("request_id", ""))
        return Explained(made, cost_usd(dict(self._store.used)))

    def _remember(self, case: Case) -> None:
        """What another process had a model word a moment ago counts here too: an alert that opens and gets worse is asked about once."""
        if self._chain.has_models:
            for known in self._store.insights_of(case.entity_type, case.entity_id, LATELY):
                if known.source != "rules" and known.reason != "cached":
                    self._chain.was_asked(case.entity_type, case.entity_id, known.created_us)

    def _case(self, kind: str, detail: Mapping[str, Any], now_us: int) -> Case | None:
        """None when there is nothing to explain: the alert has ended, or is explained at its present severity already."""
        if kind == SEGMENT:
            entity = detail["entity_type"], detail["entity_id"]
            return cases.of_segment(self._store, entity, detail["before"], detail["after"], now_us)
        alert = self._store.load_alert(detail["alert_id"]) if kind in (OPENED, CHANGED) else None
        if alert is None or not alert.living:
            return None
        known = self._store.insights_of_alerts([alert.alert_id]).get(alert.alert_id)
        if known is not None and known.severity == alert.severity:
            return None
        return cases.of_alert(self._store, alert, now_us)


def providers(home: Installation) -> list[Explainer]:
    """The language models of the settings, first choice first; none of them connects before it is needed."""
    from backend.adapters.claude import Claude

    found: list[Explainer] = []
    for place, name in enumerate(home.settings.llm):
        models = home.settings.llm_model
        options = {"aws_region": home.settings.region}
        if name == "anthropic":
            options = {"api_key": home.secrets.text(home.settings.of("llm"))}
        found.append(Claude(name, models[place] if place < len(models) else None, **options))
    return found
