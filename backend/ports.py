"""What the services need from outside. Each port has two implementations that users run: SQLite here, DynamoDB on AWS.

All times are microseconds UTC. Every write is one transaction: all of it is durable when the call returns, or none of it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from backend.domain.alerts import Alert, AuditEntry
from backend.domain.events import Event
from backend.domain.insights import Insight
from backend.domain.parsing import Parsed
from backend.domain.predictions import Scored
from backend.domain.profiles import Profile
from backend.domain.prompts import Prompt

if TYPE_CHECKING:  # they need numpy, which most functions on AWS do not have
    from backend.domain.episodes import Episode
    from backend.domain.outlook import Day, Key, Outlook


class Change(msgspec.Struct, frozen=True):
    """One line of the change feed: `kind` is entity, alert, market, simulator or data; `key` names the thing."""

    seq: int
    at_us: int
    kind: str
    key: str
    request_id: str = ""  # that it goes back to, or run by the clock, where it is known: on AWS, of alerts, moves and insights


class Log(Protocol):
    """The append-only event log with deduplication."""

    def append(self, entries: Sequence[Parsed]) -> list[str]:
        """Append in order; one verdict each: accepted, duplicate, or conflict (same id, other content: first wins).

        Returns only when everything accepted is durable. The same id twice in one call: the second is a duplicate.
        Raises Unavailable with nothing appended.
        """

    def keep_rejects(self, rows: Sequence[tuple[int, str, str | None, str | None, str, str]]) -> None:
        """Keep refused items: (at_us, reason, event_type, source, errors as JSON, body as text, size-capped)."""

    def add_tallies(self, day_us: int, counts: dict[str, int]) -> None:
        """Add to the day's counters (duplicates, conflicts, rejects by reason, unknown fields)."""


class Feed(Protocol):
    """The change feed, followed by cursor. A follower may see a change twice and never misses one it has not passed."""

    def changes(self, after: int, limit: int = 500) -> list[Change]: ...
    def last_change(self) -> int: ...


class Alerts(Protocol):
    """Alerts and their audit, saved together."""

    def load_alert(self, alert_id: str) -> Alert | None: ...

    def standing(self, entity: tuple[str, str], now_us: int) -> dict[str, Alert]:
        """Alerts of an entity (type, id) that stand for their rules (domain.alerts.standing), by rule."""

    def save_alert(self, alert: Alert, entry: AuditEntry, *, expected_version: int | None) -> None:
        """Save the alert, its audit row and a change in one transaction.

        `expected_version` is the version that was read (None: must not exist). Raises Conflict when it has moved on.
        """


class Documents(Protocol):
    """Small named JSON documents: desired state of the simulator, saved views, settings of people."""

    def document(self, key: str) -> Any | None: ...
    def put_document(self, key: str, value: Any, at_us: int) -> None: ...


class Store(Log, Feed, Alerts, Documents, Protocol):
    """Everything that services write through."""

    def erase_source(self, source: str, at_us: int) -> int:
        """Remove every event of one source and everything it added, leaving the rest as if it had never come.

        Returns how many events went. Used to clear demo data.
        """

    def close(self) -> None: ...


class Processor(Protocol):
    """Folds appended events into state; the cursor moves in the same transaction as the effects."""

    def fold(self, limit: int, now_us: int) -> int:
        """Fold up to `limit` events not yet folded, exactly once; returns how many."""

    def sweep(self, now_us: int) -> int:
        """Move every window's edge to `now_us`: events leave windows, scores age, alerts resolve. Returns entities touched."""

    def is_quiet(self, now_us: int) -> bool:
        """Whether rules are silent just now, as what is stored may be half of the truth: history pours in or is folded again."""


# Orders of a list of alerts; within the same, the newest comes first. "stake": by severity, then what is at stake
# (backend.domain.stakes), then the oldest first.
ALERT_SORTS = ("severity", "stake", "newest", "oldest", "repeats")


class Reads(Protocol):
    """What the read side asks of a store. `filters` maps student, tutor, subject and region to the chosen value.
    A row is a mapping of the names of a kept entity's columns to values, with its "profile". Ranges are (start, end].
    """

    def document(self, key: str) -> Any | None: ...

    # Entities, exact as of the last sweep
    def entity_page(
        self,
        kind: str,
        filters: Mapping[str, str],
        *,
        sort: str,
        descending: bool,
        limit: int,
        offset: int = 0,
        segment: str | None = None,
        search: str | None = None,
        callers_only: int = 0,
    ) -> tuple[list[dict[str, Any]], int]: ...

    def entities(self, kind: str, ids: Sequence[str]) -> list[dict[str, Any]]: ...

    def profiles(self, kind: str, filters: Mapping[str, str]) -> list[Profile]: ...

    def entity_names(self, kind: str, ids: Iterable[str]) -> dict[str, str]: ...

    def health_counts(self, filters: Mapping[str, str]) -> list[tuple[str, float | None, int]]: ...

    def active_students(self, filters: Mapping[str, str]) -> int: ...

    def first_sessions(self, filters: Mapping[str, str], start_us: int, end_us: int) -> tuple[int, int]: ...

    def tutor_supply(self) -> list[tuple[list[str], str | None, float, float]]: ...

    def tutor_students(self, tutor_ids: Sequence[str], since_us: int) -> dict[str, int]: ...

    def linked(
        self, kind: str, filters: Mapping[str, str], text: str, limit: int
    ) -> list[tuple[str, str | None, int]]: ...

    def named(
        self, kind: str, text: str, limit: int
    ) -> list[tuple[str, str | None, str | None, str | None]]: ...

    def predictions(self, kind: str, ids: Sequence[str], at_us: int | None = None) -> dict[str, Scored]: ...

    def prediction_history(self, kind: str, entity_id: str, since_us: int, until_us: int) -> list[Scored]: ...

    # The log and what it adds up to
    def meta(self) -> dict[str, Any]: ...

    def cursor(self) -> int: ...

    def version(self) -> tuple[int, int]: ...

    def log(
        self,
        filters: Mapping[str, str],
        start_us: int,
        end_us: int,
        *,
        types: Sequence[str] = (),
        newest_first: bool = False,
        limit: int = -1,
    ) -> Iterator[Event]: ...

    def first_us(self, filters: Mapping[str, str]) -> int | None: ...

    def bucket_sums(
        self, kind: str, entity_id: str, names: Sequence[str], first_us: int, last_us: int, step_us: int
    ) -> list[tuple[int, ...]]: ...

    def bucket_groups(
        self, kind: str, filters: Mapping[str, str], names: Sequence[str], first_us: int, last_us: int
    ) -> dict[str, tuple[int, ...]]: ...

    def bucket_trends(
        self, kind: str, ids: Sequence[str], name: str, end_us: int, step_us: int, steps: int
    ) -> dict[str, list[float | None]]: ...

    def window_sums(
        self, kind: str, filters: Mapping[str, str], names: Sequence[str], at_us: int
    ) -> dict[str, list[list[int]]]: ...

    # Supply and demand
    def market_newest(self, filters: Mapping[str, str], at_us: int) -> list[dict[str, Any]]: ...

    def market_counts(
        self, filters: Mapping[str, str], start_us: int, end_us: int
    ) -> dict[tuple[str, str], int]: ...

    def market_usual(self, filters: Mapping[str, str], at_us: int) -> dict[tuple[str, str], float]: ...

    def market_history(
        self, subject: str, region: str, start_us: int, end_us: int
    ) -> list[dict[str, Any]]: ...

    # Alerts
    def alert_list(
        self,
        filters: Mapping[str, str],
        *,
        status: Sequence[str] = (),
        severity: str | None = None,
        alert_type: str | None = None,
        entity: tuple[str, str] | None = None,
        search: str | None = None,
        sort: str = "severity",
        limit: int = -1,
        offset: int = 0,
        as_of_us: int | None = None,
        counted: bool = True,
    ) -> tuple[list[Alert], int]:
        """Alerts in the order of one of ALERT_SORTS, and how many match; without `counted` it may say only how many are returned."""

    def alert_tallies(self, filters: Mapping[str, str]) -> list[tuple[str, str, bool, int]]: ...

    def alert_openings(
        self, filters: Mapping[str, str], start_us: int, end_us: int, step_us: int
    ) -> list[tuple[int, str, int]]:
        """(start of the step, severity it has now, alerts opened), in this order; steps are counted from 1970."""

    def alert_by_id(self, alert_id: str) -> Alert | None: ...

    def open_alerts(self, kind: str, ids: Sequence[str]) -> dict[str, int]: ...

    def losses(self, ids: Sequence[str]) -> dict[str, float]: ...

    def audit_rows(
        self, alert_ids: Sequence[str], until_us: int, limit: int = 200
    ) -> list[dict[str, Any]]: ...

    # The pipeline itself
    def pipeline(self) -> dict[str, Any]: ...

    def type_counts(self, since_us: int, until_us: int) -> list[tuple[str, int, int, int, int]]: ...

    def arrivals(self, since_us: int, until_us: int) -> dict[int, int]: ...

    def newest_arrivals(self, limit: int) -> list[int]: ...

    def rejects(self, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]: ...

    # Pages for whoever reads along over the API
    def event_rows(self, filters: Mapping[str, str], before: int | None, limit: int) -> list[tuple[Any, ...]]:
        """Of the log, newest first, below the place `before`: seq, event_id, event_type, occurred_us, received_us, source,
        sender's address, request id, payload as JSON. `filters`: event_type, student, tutor."""

    def sample_rows(
        self,
        source: str | None,
        name: str | None,
        start_us: int,
        end_us: int,
        after: tuple[str, str, int, str] | None,
        limit: int,
    ) -> list[tuple[Any, ...]]:
        """Samples in (start, end] by series and time: source, name, at_us, event_id, value, unit, anomaly score.

        `after` is the first four of the last row of the page before.
        """

    def sample_heads(self, limit: int) -> list[tuple[Any, ...]]:
        """Up to `limit` series by name, each with its newest sample: source, name, at_us, value, unit, anomaly score."""


class ProviderFailed(Exception):
    """A language model gave nothing usable. `retry`: the same request may succeed in a moment."""

    def __init__(self, reason: str, *, retry: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry = retry


class Completion(msgspec.Struct, frozen=True):
    """A language model's raw answer and what it used."""

    text: str
    input_tokens: int
    output_tokens: int


class Explainer(Protocol):
    """A language model behind an API. `source` and `model` are what labels say of its texts."""

    source: str
    model: str

    def complete(self, prompt: Prompt, timeout_s: float) -> Completion:
        """Answer within the time. Raises ProviderFailed, and never anything else, when there is no answer by then."""


class Insights(Protocol):
    """Explanations that are kept, what people said of them, and what the language model used by day."""

    def save_insights(self, insights: Sequence[Insight], now_us: int) -> None:
        """Save and announce them in one transaction; one of high risk is announced with its risk as well."""

    def unexplained(self, limit: int) -> list[Alert]:
        """Living alerts without an insight of their present severity, worst then newest first."""

    def segments(self) -> dict[tuple[str, str], str]:
        """The segment of every student and tutor, by (type, id)."""

    def insight(self, insight_id: str) -> Insight | None: ...

    def insights_of_alerts(self, alert_ids: Sequence[str]) -> dict[str, Insight]:
        """The newest insight of each of these alerts that has one."""

    def insights_of(self, entity_type: str, entity_id: str, limit: int = 1) -> list[Insight]: ...

    def insights_like(
        self, kind: str | None, severity: str | None, floor: float | None, limit: int
    ) -> list[Insight]:
        """Those of a kind and severity whose score is at least `floor`, newest first; None: any."""

    def loose_insights(self, since_us: int, limit: int) -> list[Insight]:
        """Insights that belong to no alert, newest first."""

    def worded_before(self, facts_digest: str, since_us: int) -> Insight | None:
        """A language model's text about exactly these facts, of anybody, if there is one."""

    def put_feedback(self, insight_id: str, feedback: dict[str, Any], now_us: int) -> bool:
        """Keep what a person said; False when there is no such insight."""

    def insights_judged(self, since_us: int) -> list[Insight]:
        """Insights since then of which a person said something, newest first."""

    def feedback_counts(self, since_us: int) -> dict[str, int]: ...

    def use_llm(self, day_us: int, cap: int) -> bool:
        """Take one call of the day's, durably; False when the cap is reached."""

    def add_llm_usage(self, day_us: int, counts: Mapping[str, int]) -> None: ...
    def llm_usage(self, day_us: int) -> dict[str, int]: ...
    def prune_insights(self, before_us: int) -> int: ...


class HoursHead(msgspec.Struct, frozen=True, kw_only=True):
    """How far hours are closed: from `since_us` to `through_us` (starts of hours), with `counted` events in them at that time.

    `left_out` places are not followed, because there are too many.
    """

    since_us: int
    through_us: int
    counted: int
    closed_us: int
    left_out: int = 0


class Closed(msgspec.Struct, frozen=True):
    """What closing some hours came to. The states belong to `head`: with it they are where learning goes on."""

    head: HoursHead
    outlooks: Sequence[Outlook]
    days: Sequence[Day]
    courses: Mapping[Key, bytes]
    watches: Mapping[Key, bytes]
    episodes: Sequence[Episode]


class Forecasts(Protocol):
    """Forecasts by the hour, what was said before and what came, anomalies, and the state of those who learn."""

    def save_forecasts(self, closed: Closed, days_before_us: int, episodes_before_us: int) -> None:
        """Save all of it, remove what is older than said, and announce it; the head counts only when everything else is there."""

    def forecast_head(self) -> HoursHead | None: ...

    def forecast_states(self) -> tuple[list[bytes], list[bytes]]:
        """States of the courses and of the watches."""

    def clear_forecasts(self) -> None:
        """Forget everything that was learned, forecast and noted."""

    def forecasts(self, measure: str) -> list[Outlook]:
        """The newest forecast of every place, by place."""

    def forecast_days(
        self, measure: str, first_us: int, last_us: int, places: Sequence[str] = ()
    ) -> list[Day]:
        """Days that start from `first_us` to `last_us`, of these places or of all, by day and place."""

    def episodes(self, start_us: int, end_us: int) -> list[Episode]:
        """Those that touch [start, end], newest start first."""
