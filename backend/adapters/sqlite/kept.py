"""Profiles that the folding thread keeps in memory between transactions."""

from __future__ import annotations

from collections import OrderedDict

from backend.adapters.sqlite.entity_rows import Head, Stored
from backend.domain.profiles import Profile
from backend.services.process import Key

KEEP_PROFILES = 8_000  # decoded, some 3 kB each


class Kept:
    """Profiles of the last transactions, decoded: most entities come again soon. Used by the folding thread alone.

    `stamp` is what the file said when they were saved; if it says anything else, somebody else has written.
    """

    def __init__(self) -> None:
        self._profiles: OrderedDict[Key, Stored] = OrderedDict()
        self._stamp: tuple[int, int | None, int] | None = None

    def check(self, stamp: tuple[int, int | None, int]) -> bool:
        """Whether the file stands where it was left; if not, everything is forgotten."""
        if stamp == self._stamp:
            return True
        self.clear()
        return False

    def get(self, key: Key) -> Stored | None:
        return self._profiles.get(key)

    def keep(
        self, profiles: dict[Key, Profile], heads: dict[Key, Head], stamp: tuple[int, int | None, int]
    ) -> None:
        """After a commit, never before: what a rolled-back transaction made of a profile must not survive."""
        for key, profile in profiles.items():
            self._profiles[key] = Stored(profile, heads[key])
            self._profiles.move_to_end(key)
        while len(self._profiles) > KEEP_PROFILES:
            self._profiles.popitem(last=False)
        self._stamp = stamp

    def clear(self) -> None:
        self._profiles.clear()
        self._stamp = None
