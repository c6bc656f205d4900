"""What is usual for one student or tutor: the counts of their own earlier weeks, and how far the next may stray by chance.

Counts of independent happenings are Poisson. With the Jeffreys prior Gamma(1/2, 0) on the rate, n weeks with s happenings
in all leave the next week negative binomial with shape s + 1/2 and success probability n / (n + 1) (Gelman et al.,
Bayesian Data Analysis, 3rd ed., section 2.6). That doubt about the rate is why four weeks give a wide band and ten a narrow one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

MIN_WEEKS = 4
TAIL = (
    0.01  # at most this chance on either side of the band: people have few weeks, operators little patience
)


class Usual(msgspec.Struct, frozen=True):
    """Mean of the earlier weeks, and the counts between which a week falls by chance."""

    mean: float
    low: int
    high: int


def usual(weeks: Sequence[int]) -> Usual | None:
    """What is to be expected after these weekly counts; None with fewer than MIN_WEEKS of them."""
    n = len(weeks)
    if n < MIN_WEEKS:
        return None
    shape, probability = sum(weeks) + 0.5, n / (n + 1)
    chance = (
        probability**shape
    )  # of a count of nought; each further one by the recurrence of the distribution
    below, count, low = chance, 0, 0
    while below < 1 - TAIL:
        if below <= TAIL:
            low = count + 1
        count += 1
        chance *= (shape + count - 1) / count * (1 - probability)
        below += chance
    return Usual(sum(weeks) / n, low, count)


def unusual(name: str, now: int, weeks: Sequence[int]) -> str | None:
    """In words why the newest week is out of the ordinary, None where it is not or nothing can be said."""
    found = usual(weeks)
    if found is None or found.low <= now <= found.high:
        return None
    span = f"{found.low} to {found.high}" if found.low < found.high else str(found.high)
    return f"{now} {name} in 7 days, {'more' if now > found.high else 'fewer'} than the usual {span} a week"
