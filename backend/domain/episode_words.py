"""An episode in plain words: what happened, what is usual, how rare it is."""

from __future__ import annotations

from backend.domain.episodes import WINDOW_HOURS, Episode
from backend.domain.outlook import parts_of
from backend.domain.rules import pretty
from backend.domain.wording import counted

_NAMES = {"calls": "Calls", "sessions": "Sessions", "rating": "Ratings", "ratio": "Supply for demand"}
_FEATURES = {
    "value": "the value itself",
    "average of 12": "the average of twelve hours",
    "average of 48": "the average of two days",
    "roughness over 16": "jumps from hour to hour",
    "roughness over 64": "jumps from hour to hour over days",
    "shape of averages": "a course of averages not seen before",
    "shape of the last three": "a course of three hours not seen before",
    "height above usual": "its height above the usual",
    "depth below usual": "its depth below the usual",
}


def place_name(place: str) -> str:
    """ "Algebra, West", "Algebra", "West" or "" for everything."""
    return ", ".join(pretty(part) for part in parts_of(place) if part)


def title(episode: Episode) -> str:
    """ "Calls above usual in West"."""
    way = "above" if episode.above else "below"
    where = place_name(episode.place)
    return f"{_NAMES[episode.measure]} {way} usual" + (f" in {where}" if where else "")


def finding(episode: Episode) -> str:
    """ "14 calls in 3 hours, usual at this time 0 to 4"."""
    hours = WINDOW_HOURS[episode.measure]
    if episode.measure == "rating":
        return f"mean rating {episode.peak:.2f} over {counted(hours, 'hour')}, usual {episode.low:.2f} to {episode.high:.2f}"
    if episode.measure == "ratio":
        return f"{episode.peak:.2f} on offer for each one asked, usual at this time {episode.low:.2f} to {episode.high:.2f}"
    span = (
        f"{episode.low:.0f} to {episode.high:.0f}" if episode.low != episode.high else f"{episode.high:.0f}"
    )
    return f"{episode.peak:.0f} {episode.measure} in {counted(hours, 'hour')}, usual at this time {span}"


def rarity(episode: Episode) -> str:
    """ "rarest: its height above the usual, about once in 5,800 hours"."""
    what = _FEATURES.get(episode.feature, episode.feature)
    if episode.one_in > episode.hours_known:
        return f"rarest: {what}, nothing like it in the {episode.hours_known:,} hours watched before"
    return f"rarest: {what}, about once in {episode.one_in:,.0f} hours"
