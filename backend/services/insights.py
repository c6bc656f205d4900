"""Insights as readers get them: the kept ones, rules' text where none is kept yet, counts, and what people say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from backend.domain import evidence
from backend.domain.alerts import LIVING, Alert
from backend.domain.errors import NotFound, Rejected
from backend.domain.insights import HIGH_RISK, OUTCOMES, VERDICTS, Insight, by_rules
from backend.domain.profiles import Profile
from backend.domain.times import DAY, iso
from backend.services import cases
from backend.services.explaining import cost_usd, day_of

SCAN = 1_000  # living alerts that are looked at, at most
LOOSE = 200  # insights without an alert that are looked at, at most
MAX_REASON = 500


class Item(msgspec.Struct, frozen=True):
    """One line of the list: a living alert, or an insight that has none."""

    at_us: int
    alert: Alert | None
    loose: Insight | None

    @property
    def entity_type(self) -> str:
        return self.alert.entity_type if self.alert else self.loose.entity_type if self.loose else ""


def items(store: Any, since_us: int) -> list[Item]:
    """What needs attention and was raised after `since_us`, newest first. `store` implements Reads and Insights."""
    alerts, _ = store.alert_list({}, status=LIVING, limit=SCAN)
    found = [
        Item(alert.opened_us, alert, None)
        for alert in alerts
        if alert.opened_us > since_us and _explained(alert)
    ]
    found += [Item(insight.created_us, None, insight) for insight in store.loose_insights(since_us, LOOSE)]
    return sorted(found, key=lambda item: (-item.at_us, item.alert.alert_id if item.alert else ""))


def documents(store: Any, page: Sequence[Item]) -> list[dict[str, Any]]:
    """The lines as JSON values."""
    alerts = [item.alert for item in page if item.alert is not None]
    kept = of_alerts(store, alerts)
    return [
        document(kept[item.alert.alert_id], item.alert) if item.alert else document(item.loose, None)
        for item in page
        if item.alert or item.loose
    ]


def at_risk(store: Any, found: Sequence[Item], floor: float) -> list[tuple[Item, float]]:
    """Those whose known risk score, as their document shows it, is at least `floor`; with that score."""
    scores = [document["risk_score"] for document in documents(store, found)]
    pairs = zip(found, scores, strict=True)
    return [(item, score) for item, score in pairs if score is not None and score >= floor]


def of_alerts(store: Any, alerts: Sequence[Alert]) -> dict[str, Insight]:
    """The insight of each alert: the kept one of its present severity, else by rules from what is known now."""
    kept: dict[str, Insight] = store.insights_of_alerts([alert.alert_id for alert in alerts])
    found = {}
    for alert in filter(_explained, alerts):
        insight = kept.get(alert.alert_id)
        if insight is None or insight.severity != alert.severity:
            insight = _unkept(store, alert)
        found[alert.alert_id] = insight
    return found


def of_alert(store: Any, alert_id: str) -> Insight | None:
    alert = store.alert_by_id(alert_id)
    return None if alert is None else of_alerts(store, [alert]).get(alert_id)


ASKED = "explain"  # document: who asked about whom, newest last
MOST_ASKED = 50


def ask(store: Any, entity_type: str, entity_id: str, now_us: int) -> Insight:
    """Explain one student, tutor or cell because somebody asks: at once by rules, and later by a model if there is one.

    Where an alert lives, its own insight is the answer. Raises NotFound, or Rejected for another type.
    """
    if entity_type not in ("student", "tutor", "cell"):
        raise Rejected("only a student, a tutor or a cell can be explained")
    alerts, _ = store.alert_list({}, status=LIVING, entity=(entity_type, entity_id), limit=1)
    if alerts and (known := of_alerts(store, alerts).get(alerts[0].alert_id)):
        return known
    insight = by_rules(cases.of_entity(store, (entity_type, entity_id), now_us), now_us, "asked")
    store.save_insights([insight], now_us)
    asks = (store.document(ASKED) or {}).get("asks", [])
    asks = [*asks, [entity_type, entity_id, now_us]][-MOST_ASKED:]
    store.put_document(ASKED, {"asks": asks}, now_us)
    return insight


def asked_since(store: Any, since_us: int) -> list[tuple[str, str, int]]:
    """(type, id, when) of what was asked after the moment, oldest first."""
    asks = (store.document(ASKED) or {}).get("asks", [])
    return [(kind, entity_id, at_us) for kind, entity_id, at_us in asks if at_us > since_us]


def expired(store: Any, now_us: int, limit: int) -> list[Alert]:
    """Living alerts whose kept insight is older than a day: what it says of the last days is no longer so."""
    alerts, _ = store.alert_list({}, status=LIVING, sort="oldest", limit=SCAN)
    kept = store.insights_of_alerts([alert.alert_id for alert in alerts])
    old = [a for a in alerts if a.alert_id in kept and kept[a.alert_id].created_us <= now_us - DAY]
    return old[:limit]


def of_entity(store: Any, entity_type: str, entity_id: str) -> Insight | None:
    """The insight of the gravest living alert, else the newest one that is kept."""
    alerts, _ = store.alert_list({}, status=LIVING, entity=(entity_type, entity_id), limit=1)
    if alerts:
        return of_alerts(store, alerts).get(alerts[0].alert_id)
    return next(iter(store.insights_of(entity_type, entity_id)), None)


def _explained(alert: Alert) -> bool:
    """Alerts about the pipeline say everything in their message; there is no profile to gather evidence from."""
    return alert.entity_type in ("student", "tutor", "cell")


def _unkept(store: Any, alert: Alert) -> Insight:
    rows = store.entities(alert.entity_type, [alert.entity_id])
    profile = rows[0]["profile"] if rows else Profile.new(alert.entity_type, alert.entity_id)
    case = evidence.case_of_alert(alert, profile, alert.last_seen_us)
    insight = by_rules(case, alert.last_seen_us, "not explained yet")
    return msgspec.structs.replace(insight, insight_id=alert.alert_id)


def find(store: Any, insight_id: str) -> tuple[Insight, Alert | None]:
    """An insight by its id or by its alert's. Raises NotFound."""
    insight = store.insight(insight_id) or of_alert(store, insight_id)
    if insight is None:
        raise NotFound(f"there is no insight {insight_id}")
    return insight, store.alert_by_id(insight.alert_id) if insight.alert_id else None


def document(insight: Insight | None, alert: Alert | None) -> dict[str, Any]:
    """One insight as JSON values. `risk_score` is 0 to 100, or None where nothing measured it; severity is the alert's."""
    assert insight is not None
    return {
        "insight_id": insight.insight_id,
        "alert_id": insight.alert_id,
        "entity_type": insight.entity_type,
        "entity_id": insight.entity_id,
        "entity_name": insight.entity_name,
        "timestamp": iso(insight.created_us),
        "expires_at": iso(insight.created_us + DAY),
        "prediction_type": insight.kind,
        "severity": alert.severity if alert else insight.severity,
        "status": alert.status if alert else None,
        "risk_score": insight.score,
        "claim": insight.claim,
        "explanation": insight.text,
        "confidence": insight.confidence,
        "evidence": msgspec.to_builtins(insight.evidence),
        "would_settle": insight.settles,
        "recommendations": list(insight.actions),
        "source": insight.source,
        "model_used": insight.model or "rules",
        "prompt_version": insight.prompt_version,
        "rules_because": insight.reason,
        "facts_digest": insight.facts_digest,
        "checks": {"numbers": insight.checked, "withheld": list(insight.withheld)},
        "sent": insight.sent,
        "feedback": insight.feedback,
        "simulated": insight.simulated,
    }


def risk(alert: Alert) -> float | None:
    """The risk that the alert's own details state: a risk score, or what is missing from full health."""
    for name, of in (("risk_score", float), ("health_score", lambda health: 100.0 - health)):
        value = alert.details.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return round(of(value), 1)
    return None


def aggregations(store: Any, found: Sequence[Item], now_us: int, breaker_open: bool) -> dict[str, Any]:
    """How many insights, how many critical, their mean known risk, counts by type; what explaining them took today."""
    graded = [_graded(item) for item in found]
    risks = [value for _, _, value in graded if value is not None]
    return {
        "total": len(graded),
        "critical": sum(severity == "critical" or (value or 0) >= HIGH_RISK for _, severity, value in graded),
        "avgRisk": round(sum(risks) / len(risks), 1) if risks else None,
        "byType": dict(sorted(Counter(kind for kind, _, _ in graded).items())),
        "explainer": explainer(store, now_us, breaker_open),
    }


def _graded(item: Item) -> tuple[str, str, float | None]:
    if item.alert is not None:
        return evidence.kind_of(item.alert), item.alert.severity, risk(item.alert)
    assert item.loose is not None
    return item.loose.kind, item.loose.severity, item.loose.score


def explainer(store: Any, now_us: int, breaker_open: bool) -> dict[str, Any]:
    """Meters of today, and how useful people found the insights of 30 days."""
    usage = store.llm_usage(day_of(now_us))
    explained = usage.get("explained", 0)
    verdicts = store.feedback_counts(now_us - 30 * DAY)
    judged = verdicts["accepted"] + verdicts["dismissed"]
    return {
        "explained": explained,
        "by_model": usage.get("worded", 0),
        "fallback_rate": round(1 - usage.get("worded", 0) / explained, 4) if explained else None,
        "withheld": usage.get("withheld", 0),
        "cached": usage.get("cached", 0),
        "calls": usage.get("calls", 0),
        "failures": usage.get("failures", 0),
        "input_tokens": usage.get("input_tokens", 0),
        "output_tokens": usage.get("output_tokens", 0),
        "cost_usd": round(cost_usd(usage), 6),
        "breaker": "open" if breaker_open else "closed",
        **verdicts,
        "precision": round(verdicts["accepted"] / judged, 4) if judged else None,
        "by_source": by_source(store, now_us),
    }


def by_source(store: Any, now_us: int) -> dict[str, dict[str, Any]]:
    """What people said in 30 days, by who worded it, so that rules and models can be compared."""
    found: dict[str, dict[str, Any]] = {}
    for insight in store.insights_judged(now_us - 30 * DAY):
        said = (insight.feedback or {}).get("verdict")
        if said in VERDICTS:
            counts = found.setdefault(insight.source, dict.fromkeys(VERDICTS, 0))
            counts[said] += 1
    for counts in found.values():
        counts["precision"] = round(counts["accepted"] / (counts["accepted"] + counts["dismissed"]), 4)
    return dict(sorted(found.items()))


def feedback(
    store: Any,
    insight_id: str,
    *,
    verdict: str | None,
    reason: str | None,
    outcome: str | None,
    actor: str,
    now_us: int,
) -> Insight:
    """Keep what a person says of an insight; what is left out stays as it was. Raises NotFound or Rejected."""
    reason = (reason or "").strip() or None
    if verdict is None and outcome is None:
        raise Rejected("feedback needs a verdict or an outcome")
    if verdict is not None and verdict not in VERDICTS:
        raise Rejected(f"a verdict is one of: {', '.join(VERDICTS)}")
    if outcome is not None and outcome not in OUTCOMES:
        raise Rejected(f"an outcome is one of: {', '.join(OUTCOMES)}")
    if verdict == "dismissed" and reason is None:
        raise Rejected("say why the insight is dismissed, so that it can do better")
    if reason is not None and len(reason) > MAX_REASON:
        raise Rejected(f"a reason holds at most {MAX_REASON} characters")
    insight, _ = find(store, insight_id)
    if store.insight(insight.insight_id) is None:  # rules' text that was made for the reader
        store.save_insights([insight], now_us)
    said = {"verdict": verdict, "reason": reason, "outcome": outcome}
    merged = (insight.feedback or {}) | {name: value for name, value in said.items() if value is not None}
    merged |= {"actor": actor, "at_us": now_us}
    store.put_feedback(insight.insight_id, merged, now_us)
    return msgspec.structs.replace(insight, feedback=merged)
