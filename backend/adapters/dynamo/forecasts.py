"""Forecasts, what came of them, and episodes in DynamoDB.

FOR#<measure>          <subject>|<region>                 the newest forecast of a place
FST#<measure>          <subject>|<region>                 the state of what learns it; FSW#<measure> of what watches it
FDY#<measure>#<day>    <subject>|<region>                 what was said of a day's hours and what came; goes after its life
EPI                    <start>#<measure>#<place>          an episode; goes after its life
DOC#forecasts          DOC                                how far hours are closed, written last
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from backend.adapters.dynamo.items import Item, key_of, keyed, unpack
from backend.adapters.dynamo.items import pack as packed
from backend.adapters.dynamo.keys import bounded, document_key, time_sort
from backend.adapters.dynamo.log import Lifetimes, expires
from backend.adapters.dynamo.table import Table
from backend.domain.times import DAY
from backend.ports import Closed, HoursHead

if TYPE_CHECKING:  # imported where they are needed: they load numpy, which most functions on AWS do not have
    from backend.domain.episodes import Episode
    from backend.domain.outlook import Day, Key, Outlook

HEAD = "forecasts"
EPISODES = "EPI"
_END = "\U0010ffff"


class DynamoForecasts:
    """Implements Forecasts of backend.ports; mixed into DynamoStore. Every write may be done twice; the head comes last."""

    table: Table
    lifetimes: Lifetimes
    document: Callable[[str], Any | None]
    put_document: Callable[[str, Any, int], None]

    def save_forecasts(self, closed: Closed, days_before_us: int, episodes_before_us: int) -> None:
        """Days and episodes go by their time to live, not here."""
        items = [keyed((f"FOR#{o.measure}", bounded(o.place)), b=packed(o)) for o in closed.outlooks]
        items += [
            keyed(
                (_day_partition(day.measure, day.day_us), bounded(day.place)),
                b=packed(day),
                ttl=expires(day.day_us, self.lifetimes.markers),
            )
            for day in closed.days
        ]
        # The last word on an episode counts: a batch must not write one key twice.
        last = {(e.measure, e.place, e.start_us): e for e in closed.episodes}
        items += [
            keyed(
                (EPISODES, time_sort(e.start_us, f"{e.measure}#{e.place}")),
                b=packed(e),
                ttl=expires(e.start_us, self.lifetimes.buckets),
            )
            for e in last.values()
        ]
        self.table.write_many(puts=items)
        # After what they led to: a state that is there says that its hour's episode is there as well.
        self.table.write_many(puts=_states("FST", closed.courses) + _states("FSW", closed.watches))
        self.put_document(HEAD, msgspec.to_builtins(closed.head), closed.head.closed_us)

    def forecast_head(self) -> HoursHead | None:
        found = self.document(HEAD)
        return None if found is None else msgspec.convert(found, HoursHead)

    def forecast_states(self) -> tuple[list[bytes], list[bytes]]:
        from backend.domain import episodes, outlook

        return self._all_states("FST", outlook.MEASURES), self._all_states("FSW", episodes.MEASURES)

    def clear_forecasts(self) -> None:
        """The days of the last weeks are found by their date; older ones go by their time to live."""
        from backend.domain import episodes, outlook

        head = self.forecast_head()
        self.table.write_many(deletes=[document_key(HEAD)])
        partitions = [EPISODES, *(f"FSW#{measure}" for measure in episodes.MEASURES)]
        for measure in outlook.MEASURES:
            partitions += [f"FOR#{measure}", f"FST#{measure}"]
            if head is not None:
                today = head.through_us // DAY
                days = range(today - self.lifetimes.markers, today + 3)
                partitions += [_day_partition(measure, day * DAY) for day in days]
        for found in self.table.each(lambda name: list(self.table.query(name)), partitions):
            self.table.write_many(deletes=[key_of(item) for item in found])

    def forecasts(self, measure: str) -> list[Outlook]:
        from backend.domain.outlook import Outlook

        items = self.table.query(f"FOR#{measure}", consistent=False)
        return sorted((unpack(item["b"], Outlook) for item in items), key=lambda found: found.place)

    def forecast_days(
        self, measure: str, first_us: int, last_us: int, places: Sequence[str] = ()
    ) -> list[Day]:
        from backend.domain.outlook import Day

        days = [day * DAY for day in range(-(-first_us // DAY), last_us // DAY + 1)]
        if places:
            wanted = [(_day_partition(measure, day), bounded(place)) for day in days for place in places]
            items: Iterable[Item] = self.table.get_many(wanted, consistent=False).values()
        else:
            pages = self.table.each(
                lambda day: list(self.table.query(_day_partition(measure, day), consistent=False)), days
            )
            items = [item for page in pages for item in page]
        return sorted(
            (unpack(item["b"], Day) for item in items), key=lambda found: (found.day_us, found.place)
        )

    def episodes(self, start_us: int, end_us: int) -> list[Episode]:
        from backend.domain.episodes import Episode

        items = self.table.query(EPISODES, None, time_sort(end_us) + _END, consistent=False)
        found = (unpack(item["b"], Episode) for item in items)
        kept = [e for e in found if e.end_us is None or e.end_us >= start_us]
        return sorted(kept, key=lambda e: (-e.start_us, e.measure, e.place))

    def _all_states(self, kind: str, measures: Sequence[str]) -> list[bytes]:
        partitions = [f"{kind}#{measure}" for measure in measures]
        pages = self.table.each(lambda name: list(self.table.query(name)), partitions)
        return [unpack(item["b"], bytes) for page in pages for item in page]


def _states(kind: str, states: Mapping[Key, bytes]) -> list[Item]:
    return [
        keyed((f"{kind}#{measure}", bounded(place)), b=packed(state))
        for (measure, place), state in states.items()
    ]


def _day_partition(measure: str, day_us: int) -> str:
    return f"FDY#{measure}#{day_us // DAY:06d}"
