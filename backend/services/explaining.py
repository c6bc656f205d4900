"""From a case to an insight: cache, budget, breaker, a language model with a few tries, a second one, and rules at the end.

Rules always have an answer, at once. A model only ever replaces the wording, and only when every number in it holds.
Time, waiting and chance come in from outside, so that every way of failing can be played through without a clock.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

import msgspec

from backend.domain import insights, prompts
from backend.domain.insights import CONFIDENCES, Case, Insight
from backend.domain.times import DAY, MINUTE, SECOND
from backend.domain.token_prices import HAIKU, TokenPrice
from backend.ports import Completion, Explainer, Insights, ProviderFailed
from backend.services.breaker import Breaker

log = logging.getLogger("iops.explaining")
TRIES = 4  # the first, and three more after about 1, 2 and 4 seconds
DEADLINE_US = 8 * SECOND  # for everything that is explained together
LEAST_S = 0.5  # less time than this is not worth a call
CACHE_US = DAY
AGAIN_US = 15 * MINUTE  # the same entity is worded by a model at most once in this time


class Limits(msgspec.Struct, frozen=True):
    """What may be spent: calls and dollars a day (kept durably), calls a minute, and the share of entities put to a model at all.

    `prices` are those of the providers, in their order; one who has none costs as much as HAIKU.
    """

    daily_calls: int = 500
    per_minute: int = 30
    share: float = 1.0
    daily_usd: float = 5.0
    prices: tuple[TokenPrice, ...] = ()


class Chain:
    """Explains cases. Used by one thread. `clock`: microseconds UTC; `sleep`: seconds; `chance`: 0 to 1."""

    def __init__(
        self,
        store: Insights,
        providers: Sequence[Explainer],
        clock: Callable[[], int],
        sleep: Callable[[float], object],
        chance: Callable[[], float],
        limits: Limits | None = None,
    ) -> None:
        self._store, self._providers = store, list(providers)
        self._clock, self._sleep, self._chance = clock, sleep, chance
        self._limits = limits or Limits()
        self.breakers = {id(provider): Breaker() for provider in providers}
        self._prices = dict(zip(map(id, self._providers), self._limits.prices, strict=False))
        self._recent: deque[int] = deque()  # when calls of the last minute were made
        self._worded: dict[tuple[str, str], int] = {}  # when an entity was last put to a model

    @property
    def has_models(self) -> bool:
        """Whether there is anybody to ask but the rules."""
        return bool(self._providers)

    def was_asked(self, entity_type: str, entity_id: str, at_us: int) -> None:
        """Somebody else put the entity to a model then."""
        key = entity_type, entity_id
        self._worded[key] = max(at_us, self._worded.get(key, at_us))

    def explain(self, cases: Sequence[Case]) -> list[Insight]:
        """One insight per case, in order, within the deadline whatever the models do. Never raises for them."""
        now_us = self._clock()
        found: list[Insight | None] = [None] * len(cases)
        groups: defaultdict[str, list[int]] = defaultdict(list)
        counts: defaultdict[str, int] = defaultdict(int)
        for place, case in enumerate(cases):
            cached = self._cached(case, now_us) if self._providers and self._in_share(case) else None
            if cached is not None:
                found[place] = cached
                counts["cached"] += 1
                continue
            why = self._why_rules(case, now_us)
            if why:
                found[place] = insights.by_rules(case, now_us, why)
            else:
                groups[case.kind].append(place)
        deadline = now_us + DEADLINE_US
        for places in groups.values():
            for start in range(0, len(places), prompts.MAX_BATCH):
                part = places[start : start + prompts.MAX_BATCH]
                answers = self._ask([cases[place] for place in part], deadline, counts)
                for place, insight in zip(part, answers, strict=True):
                    found[place] = insight
        done = [self._finished(case, insight) for case, insight in zip(cases, found, strict=True) if insight]
        counts["explained"] += len(done)
        counts["worded"] += sum(insight.source != "rules" for insight in done)
        counts["withheld"] += sum(bool(insight.withheld) for insight in done)
        self._store.add_llm_usage(day_of(now_us), counts)
        return done

    def _finished(self, case: Case, insight: Insight) -> Insight:
        """Logged when a text was withheld; dismissed when people dismissed the same evidence before."""
        if insight.withheld:
            log.warning("text of %s withheld: %s", insight.insight_id, "; ".join(insight.withheld)[:500])
        before = next(iter(self._store.insights_of(case.entity_type, case.entity_id)), None)
        return insights.carried_over(insight, before)

    def _why_rules(self, case: Case, now_us: int) -> str:
        """Why a model is not asked at all; empty if it is."""
        if not self._providers:
            return "off"
        if case.confidence == CONFIDENCES[0]:
            return "not enough evidence"
        if not self._in_share(case):
            return "outside the share that is put to a model"
        if now_us - self._worded.get((case.entity_type, case.entity_id), -AGAIN_US) < AGAIN_US:
            return "explained a moment ago"
        return ""

    def _in_share(self, case: Case) -> bool:
        return share_of(case.entity_type, case.entity_id) < self._limits.share

    def _cached(self, case: Case, now_us: int) -> Insight | None:
        """A text about exactly these facts, checked once more, as this case's insight."""
        known = self._store.worded_before(case.digest, now_us - CACHE_US)
        current = {(p.source, p.model, prompts.PROMPT_VERSION) for p in self._providers}
        if known is None or (known.source, known.model, known.prompt_version) not in current:
            return None
        ids = {sentence: name for name, sentence in case.actions.items()}
        chosen = [ids[sentence] for sentence in known.actions if sentence in ids]
        sure = dict(zip(CONFIDENCES, (0.0, 0.5, 1.0), strict=True))
        answer = insights.Answer(text=known.text, confidence=sure[known.confidence], actions=chosen)
        found = self._worded_by(case, answer, now_us, known.source, known.model or "", known.sent or "")
        return None if found.withheld else msgspec.structs.replace(found, reason="cached")

    def _ask(self, cases: list[Case], deadline: int, counts: defaultdict[str, int]) -> list[Insight]:
        """The cases of one prompt, by the first provider that answers, else by rules with the last reason."""
        for case in cases:
            self._worded[case.entity_type, case.entity_id] = self._clock()
        if len(self._worded) > 10_000:
            self._worded.clear()
        prompt = prompts.prompt_for(cases)
        reason = "off"
        for provider in self._providers:
            try:
                answers = self._tries(provider, prompt, len(cases), deadline, counts)
            except ProviderFailed as failure:
                reason = failure.reason
                continue
            return [self._insight(case, answers.get(i), provider, prompt) for i, case in enumerate(cases)]
        return [insights.by_rules(case, self._clock(), reason) for case in cases]

    def _insight(
        self, case: Case, answer: insights.Answer | None, provider: Explainer, prompt: prompts.Prompt
    ) -> Insight:
        if answer is None:
            return insights.by_rules(case, self._clock(), "left out of the answer")
        return self._worded_by(case, answer, self._clock(), provider.source, provider.model, prompt.user)

    def _worded_by(
        self, case: Case, answer: insights.Answer, now_us: int, source: str, model: str, sent: str
    ) -> Insight:
        version = prompts.PROMPT_VERSION
        return insights.by_model(
            case, answer, now_us, source=source, model=model, prompt_version=version, sent=sent
        )

    def _tries(
        self,
        provider: Explainer,
        prompt: prompts.Prompt,
        n: int,
        deadline: int,
        counts: defaultdict[str, int],
    ) -> dict[int, insights.Answer]:
        """Up to TRIES calls, about 1, 2 and 4 seconds apart, with jitter, inside the deadline. Raises ProviderFailed."""
        breaker = self.breakers[id(provider)]
        for attempt in range(TRIES):
            self._may_call(breaker, deadline, counts)
            try:
                answers = self._call(provider, prompt, n, deadline, counts)
            except ProviderFailed as failure:
                counts["failures"] += 1
                breaker.failed(self._clock())
                log.warning("%s did not explain: %s", provider.source, failure.reason)
                wait_s = 2**attempt * (0.5 + self._chance() / 2)
                left_s = (deadline - self._clock()) / SECOND - LEAST_S
                if not failure.retry or attempt + 1 == TRIES or wait_s > left_s:
                    raise
                self._sleep(wait_s)
            else:
                breaker.succeeded()
                return answers
        raise AssertionError("unreachable: the last try returns or raises")

    def _call(
        self,
        provider: Explainer,
        prompt: prompts.Prompt,
        n: int,
        deadline: int,
        counts: defaultdict[str, int],
    ) -> dict[int, insights.Answer]:
        left_s = (deadline - self._clock()) / SECOND
        answer: Completion = provider.complete(prompt, left_s)
        counts["input_tokens"] += answer.input_tokens
        counts["output_tokens"] += answer.output_tokens
        price = self._prices.get(id(provider), HAIKU)
        counts["micro_usd"] += price.micro_usd(answer.input_tokens, answer.output_tokens)
        try:
            return prompts.read_answers(answer.text, n)
        except prompts.BadAnswer as error:
            raise ProviderFailed(str(error), retry=True) from error

    def _may_call(self, breaker: Breaker, deadline: int, counts: Mapping[str, int]) -> None:
        """Takes one call from every budget. Raises ProviderFailed when one is used up; `counts`: what is not kept yet of this round."""
        now_us = self._clock()
        spent = cost_usd(self._store.llm_usage(day_of(now_us))) + cost_usd(counts)
        while self._recent and now_us - self._recent[0] >= MINUTE:
            self._recent.popleft()
        refusals = (
            (deadline - now_us < LEAST_S * SECOND, "no time left"),
            (not breaker.allows(now_us), "resting after failures"),
            (len(self._recent) >= self._limits.per_minute, "calls of this minute used up"),
            (spent >= self._limits.daily_usd, "spend of today used up"),
        )
        for refused, reason in refusals:
            if refused:
                raise ProviderFailed(reason, retry=False)
        if not self._store.use_llm(day_of(now_us), self._limits.daily_calls):
            raise ProviderFailed("calls of today used up", retry=False)
        self._recent.append(now_us)


def share_of(entity_type: str, entity_id: str) -> float:
    """Where an entity stands between 0 and 1: always the same place, so that a share of 0.2 is always the same fifth."""
    return crc32(f"{entity_type}/{entity_id}".encode()) / 2**32


def cost_usd(usage: Mapping[str, int]) -> float:
    """Dollars that were spent."""
    return usage.get("micro_usd", 0) / 1e6


def day_of(at_us: int) -> int:
    """Start of the UTC day."""
    return at_us - at_us % DAY
