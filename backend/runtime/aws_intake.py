"""Posted events behind API Gateway: the steps of services.intake, made durable in DynamoDB, the answers those of the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from backend.domain.errors import Malformed, Unavailable
from backend.runtime.aws_http import Request
from backend.runtime.replies import Reply, again, problem_of, reply_of
from backend.services import intake
from backend.services.announcements import Outside, malformed

log = logging.getLogger("iops.ingest")


class Taken(NamedTuple):
    """An answer, and what it counts as."""

    reply: Reply
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0


class AwsIntake:
    """Takes POSTs that API Gateway let through. `memory` keeps answers to `Idempotency-Key`; `outside` hears of refusals."""

    def __init__(
        self,
        store: Any,
        memory: Any,
        outside: Outside,
        clock: Callable[[], int],
    ) -> None:
        self._store, self._memory = store, memory
        self._outside, self._clock = outside, clock

    def post(self, request: Request, sender: str, *, metrics: bool) -> Taken:
        """Answer one POST of the sender with that name. Raises IopsError with a decided answer."""
        key = request.headers.get(b"idempotency-key")
        if key is None:
            return self._take(request, sender, metrics)
        name = intake.once_key(key, sender)
        digest = intake.once_digest(request.headers, request.query, request.body)
        known = self._memory.remembered(name, self._clock())
        if known is not None:
            return Taken(again(known, digest))
        taken = self._take(request, sender, metrics)
        if taken.reply.status == 202:
            self._memory.remember(name, digest, taken.reply.status, taken.reply.body, self._clock())
        return taken

    def _take(self, request: Request, sender: str, metrics: bool) -> Taken:
        now_us = self._clock()
        origin = (request.peer, request.request_id)
        steps = intake.take(
            request.headers, request.query, request.body, source=sender, now_us=now_us, metrics=metrics
        )
        verdicts: list[str] = []
        rejects: list[Any] = []
        try:
            deposit = next(steps)
            while True:
                rejects += deposit.rejects
                found = self._deposit(deposit, now_us, origin)
                verdicts += found
                deposit = steps.send(found)
        except StopIteration as done:
            reply = reply_of(done.value, origin[1])
        except Malformed as error:
            reply = problem_of(error, origin[1])
        if rejects:
            self._tell(rejects, sender, now_us, origin[1])
        return Taken(reply, verdicts.count("accepted"), verdicts.count("duplicate"), len(rejects))

    def _deposit(self, deposit: intake.Deposit, now_us: int, origin: tuple[str | None, str]) -> list[str]:
        """Make durable."""
        verdicts = self._store.append(deposit.entries, origin) if deposit.entries else []
        if deposit.rejects:
            self._store.keep_rejects(deposit.rejects)
        # Events by type are counted where they are folded: one write less per request here.
        counts = intake.tallies(deposit.entries, verdicts)
        kept = {name: n for name, n in counts.items() if not name.startswith("type:")} | deposit.tallies
        if kept:
            self._store.add_tallies(now_us, kept)
        return verdicts

    def _tell(self, rejects: list[Any], sender: str, now_us: int, request_id: str) -> None:
        """Announce refusals. They are kept already, so the sender's answer does not depend on it."""
        first = msgspec.json.decode(rejects[0][4])[0]["message"]
        try:
            self._outside.put([malformed(len(rejects), first, sender, now_us, request_id)])
        except Unavailable:
            log.exception("refused items were kept and not announced", extra={"request_id": request_id})
