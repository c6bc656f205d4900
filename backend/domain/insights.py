"""An insight: a claim about one thing, what speaks for and against it, how sure that is, and where the text came from.

A `Case` is what is known and to be explained; an `Insight` is the explanation that people read. The case alone decides the
claim, the score, the severity and what to do; a language model only words the text, and only within what the case says.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from backend.domain.number_check import Fact, mismatches, sentences

KINDS = (
    "churn_risk",
    "high_ib_call_frequency",
    "customer_health",
    "marketplace_balance",
    "tutor_capacity",
    "first_session_success",
)
HIGH_RISK = 80.0  # spec 3.3 A10: an insight of at least this risk is announced apart
RULES_VERSION = "rules-2"  # of the wording below
KEEP_DAYS = 90  # spec C13
MAX_TEXT = 600
MAX_ACTIONS = 3
FEW_EVENTS = 3  # below this many sessions and calls in 30 days nothing can be said
CONFIDENCES = ("undetermined", "likely", "confirmed")
VERDICTS = ("accepted", "dismissed")
OUTCOMES = ("churned", "stayed")


class Evidence(msgspec.Struct, frozen=True):
    """One measured fact in words; `side` is for, against or context. `number` is how texts cite it."""

    number: int
    text: str
    side: str
    fact: str


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be explained. `observations`: sessions and calls (or reports) that the facts rest on.

    `actions` maps an action's id to its sentence: the whole choice that an explanation may recommend from.
    """

    kind: str
    alert_id: str | None
    entity_type: str
    entity_id: str
    entity_name: str | None
    subject: str | None
    region: str | None
    severity: str
    claim: str
    opening: str
    facts: tuple[Fact, ...]
    evidence: tuple[Evidence, ...]
    observations: int
    settles: str
    actions: dict[str, str]
    score: float | None
    simulated: bool = False

    @property
    def confidence(self) -> str:
        """How far the evidence carries: confirmed by three facts with none against, likely by a majority."""
        sides = [item.side for item in self.evidence]
        speaks_for, against = sides.count("for"), sides.count("against")
        if self.observations < FEW_EVENTS or speaks_for <= against:
            return CONFIDENCES[0]
        return CONFIDENCES[2] if speaks_for >= 3 and not against else CONFIDENCES[1]

    @property
    def digest(self) -> str:
        """The same for cases that no text could tell apart; no identity goes in."""
        facts = [(fact.name, fact.value, fact.days) for fact in self.facts]
        sides = [(item.fact, item.side) for item in self.evidence]
        content = msgspec.json.encode(
            [self.kind, self.severity, self.opening, facts, sides, self.observations >= FEW_EVENTS]
        )
        return blake2b(content, digest_size=12).hexdigest()


class Insight(msgspec.Struct, frozen=True, kw_only=True):
    """What people read, with its provenance. `reason` says why rules wrote it; `sent` is what left this installation."""

    insight_id: str
    alert_id: str | None
    entity_type: str
    entity_id: str
    entity_name: str | None
    subject: str | None
    region: str | None
    kind: str
    severity: str
    claim: str
    text: str
    confidence: str
    evidence: tuple[Evidence, ...]
    settles: str
    actions: tuple[str, ...]
    score: float | None
    source: str
    model: str | None
    prompt_version: str
    facts_digest: str
    created_us: int
    simulated: bool = False
    reason: str | None = None
    checked: int = 0
    withheld: tuple[str, ...] = ()
    sent: str | None = None
    feedback: dict[str, Any] | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a language model may say. Anything else in its answer is ignored; the score and severity are not its to give."""

    text: str
    confidence: float = 0.0
    actions: list[str] = []
    index: int = 0

    def __post_init__(self) -> None:
        if self.confidence != self.confidence:
            raise ValueError("confidence is not a number")


def insight_id(case: Case, now_us: int) -> str:
    """Stable for the same case at the same moment, so that a repetition is no second insight."""
    text = f"{case.alert_id}\0{case.entity_type}\0{case.entity_id}\0{case.kind}\0{now_us}"
    return "in_" + blake2b(text.encode(), digest_size=9).hexdigest()


def by_rules(case: Case, now_us: int, reason: str, withheld: tuple[str, ...] = ()) -> Insight:
    """The deterministic explanation; needs nothing but the case and always succeeds."""
    text = rules_text(case)
    return _insight(
        case,
        now_us,
        text=text,
        confidence=case.confidence,
        actions=tuple(case.actions.values())[:MAX_ACTIONS],
        source="rules",
        model=None,
        prompt_version=RULES_VERSION,
        reason=reason,
        withheld=withheld,
    )


def rules_text(case: Case) -> str:
    """Opening, what speaks for it, what against, each fact with its citation."""
    known = case.confidence != CONFIDENCES[0]
    opening = case.opening if known else "Not enough evidence to say why yet."
    parts = [opening]
    for side, lead in (("for", "For it: "), ("against", "Against it: ")):
        items = [f"{item.text} [{item.number}]" for item in case.evidence if item.side == side]
        if items:
            parts.append(lead + "; ".join(items) + ".")
    return " ".join(parts)


def by_model(
    case: Case, answer: Answer, now_us: int, *, source: str, model: str, prompt_version: str, sent: str
) -> Insight:
    """A model's answer as an insight, or the rules' with the reason when its text does not hold against the facts.

    Confidence is clipped to what the evidence carries, actions to those of the case; score and severity are the case's.
    """
    text = shortened(" ".join(answer.text.split()))
    wrong = tuple(mismatches(text, case.facts))
    if not wrong and not any(facts for _, facts in sentences(text, case.facts)):
        wrong = ("none of the facts is stated",)
    if wrong:
        return msgspec.structs.replace(by_rules(case, now_us, "withheld", wrong), sent=sent)
    chosen = tuple(case.actions[name] for name in dict.fromkeys(answer.actions) if name in case.actions)
    clamped = min(1.0, max(0.0, answer.confidence))
    word = CONFIDENCES[0 if clamped < 1 / 3 else 1 if clamped < 0.8 else 2]
    return _insight(
        case,
        now_us,
        text=cited(text, case),
        confidence=min(word, case.confidence, key=CONFIDENCES.index),
        actions=(chosen or tuple(case.actions.values()))[:MAX_ACTIONS],
        source=source,
        model=model,
        prompt_version=prompt_version,
        sent=sent,
    )


def cited(text: str, case: Case) -> str:
    """The text with the numbers of the evidence that each sentence states; they come from the check, not from the model."""
    numbers = {item.fact: item.number for item in case.evidence}
    found = []
    for sentence, facts in sentences(text, case.facts):
        marks = sorted({numbers[name] for name in facts if name in numbers})
        end = sentence[-1:] if sentence[-1:] in ".!?" else ""
        body = sentence[: len(sentence) - len(end)]
        found.append(body + "".join(f" [{mark}]" for mark in marks) + end)
    return " ".join(found)


def shortened(text: str) -> str:
    """At most MAX_TEXT characters, cut after a sentence, else at a word."""
    if len(text) <= MAX_TEXT:
        return text
    head = text[:MAX_TEXT]
    end = max(head.rfind(mark) for mark in (". ", "! ", "? "))
    return head[: end + 1] if end > 0 else head.rsplit(" ", 1)[0]


def carried_over(insight: Insight, before: Insight | None) -> Insight:
    """A dismissed insight stays dismissed for as long as its evidence is the same."""
    same = before is not None and before.kind == insight.kind and before.facts_digest == insight.facts_digest
    if not same or before is None or (before.feedback or {}).get("verdict") != "dismissed":
        return insight
    return msgspec.structs.replace(insight, feedback=before.feedback)


def _insight(case: Case, now_us: int, *, text: str, **said: Any) -> Insight:
    return Insight(
        insight_id=insight_id(case, now_us),
        alert_id=case.alert_id,
        entity_type=case.entity_type,
        entity_id=case.entity_id,
        entity_name=case.entity_name,
        subject=case.subject,
        region=case.region,
        kind=case.kind,
        severity=case.severity,
        claim=case.claim,
        text=text,
        evidence=case.evidence,
        settles=case.settles,
        score=case.score,
        facts_digest=case.digest,
        created_us=now_us,
        simulated=case.simulated,
        checked=sum(len(facts) for _, facts in sentences(text, case.facts)),
        **said,
    )
