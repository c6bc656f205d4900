"""Episodes as alerts, and as the API and the pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from backend.domain.alerts import ENDED, LIVING
from backend.domain.episode_words import finding, place_name, rarity, title
from backend.domain.episodes import NEEDED_HOURS, WINDOW_HOURS, Episode
from backend.domain.outlook import parts_of, place_of, within
from backend.domain.rules import RULES, Signal, Verdict
from backend.domain.times import HOUR
from backend.services import learned
from backend.services.hours import late_events
from backend.services.process import settle_once
from backend.services.read_models import Scope

ALERT_TYPE = "unusual_course"
# The way that hurts; the other way is shown and raises no alert.
HURTS = {"calls": "above", "sessions": "below", "rating": "below", "ratio": "below"}
EVERYWHERE = place_of(None, None)
BACK = "back within what is usual"


class EpisodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """An episode as lists show it; `covers` counts narrower ones that say the same at the same time."""

    measure: str
    subject: str | None
    region: str | None
    direction: str
    title: str
    finding: str
    rarity: str
    start_us: int
    end_us: int | None
    peak_us: int
    peak: float
    low: float
    high: float
    score: float
    feature: str
    one_in: float
    window_hours: int
    severity: str
    replayed: bool
    covers: int = 0


class Anomalies(msgspec.Struct, frozen=True, kw_only=True):
    """Episodes in the range, newest first; and what is known of the watching itself."""

    rows: list[EpisodeRow]
    through_us: int | None
    late_events: int
    days_known: float
    days_needed: float
    learning: str = ""  # how far the past is learned, before anything is watched


def rule_of(episode: Episode) -> str:
    return f"unusual_{episode.measure}"


def hurts(episode: Episode) -> bool:
    return (HURTS[episode.measure] == "above") == episode.above


def covered(episode: Episode, others: Sequence[Episode]) -> bool:
    """Whether everything as a whole shows the same at that time: then the parts are no news of their own."""
    return episode.place != EVERYWHERE and any(
        other.place == EVERYWHERE
        and (other.measure, other.above) == (episode.measure, episode.above)
        and (other.end_us is None or other.end_us >= episode.start_us)
        and (episode.end_us is None or other.start_us <= episode.end_us)
        for other in others
    )


def entity_of(place: str) -> tuple[str, str]:
    """(type, id) of the entity that a place is."""
    subject, region = parts_of(place)
    if subject and region:
        return "cell", place
    if subject or region:
        return ("subject", subject or "") if subject else ("region", region or "")
    return "all", "all"


def settle_episodes(store: Any, current: Sequence[Episode], now_us: int) -> None:
    """Raises, repeats and ends alerts so that they say what the episodes that last say. `store` implements Reads and Alerts.

    Nothing is lost when this is interrupted: the next closed hour says it again.
    """
    found, _ = store.alert_list({}, status=LIVING, alert_type=ALERT_TYPE)
    living = {(alert.rule_id, alert.entity_type, alert.entity_id): alert for alert in found}
    news = [e for e in current if hurts(e) and not e.replayed and not covered(e, current)]
    wanted = {(rule_of(e), *entity_of(e.place)): e for e in news}
    for key in sorted({*living, *wanted}):
        alert, episode = living.get(key), wanted.get(key)
        if alert is None and episode is not None and _was_told(store, key, episode):
            continue
        signal = None if episode is None else _signal(store, episode)
        held = store.standing(key[1:], now_us) if alert is None else {alert.rule_id: alert}
        alert = held.get(key[0])
        verdict = Verdict(key[0], signal, BACK, RULES[key[0]].quiet_us)
        for change in settle_once([verdict], held, now_us, counted=1, key="/".join(key)):
            if change.entry is not None:
                store.save_alert(
                    change.alert, change.entry, expected_version=None if alert is None else alert.version
                )


def _was_told(store: Any, key: tuple[str, str, str], episode: Episode) -> bool:
    """Whether this very episode had its alert and somebody has ended it."""
    found, _ = store.alert_list(
        {}, status=ENDED, alert_type=ALERT_TYPE, entity=key[1:], sort="newest", limit=20
    )
    return any(alert.rule_id == key[0] and alert.opened_us > episode.start_us for alert in found)


def _signal(store: Any, episode: Episode) -> Signal:
    kind, entity_id = entity_of(episode.place)
    subject, region = parts_of(episode.place)
    rows = store.entities(kind, [entity_id])
    return Signal(
        rule_id=rule_of(episode),
        severity=episode.severity,
        entity_type=kind,
        entity_id=entity_id,
        entity_name=place_name(episode.place) or "Everything",
        subject=subject,
        region=region,
        title=title(episode),
        message=f"{finding(episode)}; {rarity(episode)}",
        details={
            "value": episode.peak,
            "usual_low": episode.low,
            "usual_high": episode.high,
            "anomaly_score": episode.score,
            "window_hours": WINDOW_HOURS[episode.measure],
        },
        simulated=bool(rows and rows[0]["profile"].simulated),
    )


def row_of(episode: Episode, others: Sequence[Episode] = ()) -> EpisodeRow:
    """An episode in words; `others` are those of the same time that it may cover."""
    subject, region = parts_of(episode.place)
    own = {name: getattr(episode, name) for name in _SAME}
    covers = sum(covered(other, [episode]) for other in others)
    return EpisodeRow(
        subject=subject,
        region=region,
        direction="above" if episode.above else "below",
        title=title(episode),
        finding=finding(episode),
        rarity=rarity(episode),
        window_hours=WINDOW_HOURS[episode.measure],
        severity=episode.severity,
        covers=covers,
        **own,
    )


_SAME = (
    "measure",
    "start_us",
    "end_us",
    "peak_us",
    "peak",
    "low",
    "high",
    "score",
    "feature",
    "one_in",
    "replayed",
)


def anomalies(
    store: Any, scope: Scope, *, measure: str | None = None, narrow: bool = True, limit: int = 200
) -> Anomalies:
    """Episodes that touch the range and lie within the subject and region asked for.

    `narrow` False leaves out those that a wider episode of the same time covers, and counts them there.
    """
    head = store.forecast_head()
    found = _known_at(store.episodes(scope.start_us, scope.at_us), scope)
    inside = [
        episode
        for episode in found
        if measure in (None, episode.measure) and within(episode.place, scope.subject, scope.region)
    ]
    shown = inside if narrow else [episode for episode in inside if not covered(episode, inside)]
    rows = [row_of(episode, [] if narrow else inside) for episode in shown[:limit]]
    known = 0 if head is None else (head.through_us - head.since_us) // HOUR + 1
    return Anomalies(
        rows=rows,
        through_us=None if head is None else min(head.through_us, scope.at_us - scope.at_us % HOUR - HOUR),
        late_events=0 if head is None else max(0, late_events(store, head)),
        days_known=round(known / 24, 1),
        days_needed=NEEDED_HOURS / 24,
        learning=learned.words(store) if head is None else "",
    )


def _known_at(found: list[Episode], scope: Scope) -> list[Episode]:
    """As they stood at the end of the range: what ended later had not ended then."""
    return [
        msgspec.structs.replace(e, end_us=None) if e.end_us is not None and e.end_us > scope.at_us else e
        for e in found
    ]
