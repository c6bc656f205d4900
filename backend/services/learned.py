"""How far a whole past is learned, before there is a first forecast: pages say it instead of promising a time."""

from __future__ import annotations

from typing import Any

LEARNED = "forecasts.learned"  # document: {done, of} series
NOTHING_YET = "nothing is learned from the past yet"


def note(store: Any, done: int, of: int, now_us: int) -> None:
    store.put_document(LEARNED, {"done": done, "of": of}, now_us)


def words(store: Any) -> str:
    """ "12 of 48 series of the past are learned so far", or that nothing is."""
    far = store.document(LEARNED)
    return f"{far['done']} of {far['of']} series of the past are learned so far" if far else NOTHING_YET
