"""The engine process: the API's front door, the log writer, the follower of the simulator's orders, and the explainer."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from typing import Any

import uvicorn

from backend.adapters.sqlite.access import SqliteAccess
from backend.adapters.sqlite.store import SqliteStore
from backend.runtime import lifeline, local_access, local_models
from backend.runtime.api_app import FrontDoor
from backend.runtime.api_context import Api
from backend.runtime.api_write import Intake, deliver_to
from backend.runtime.backtest_follower import BacktestFollower
from backend.runtime.backtest_process import start as start_backtest
from backend.runtime.explainer_follower import ExplainerFollower
from backend.runtime.explainer_follower import follower as explainer_of
from backend.runtime.forecast_follower import ForecastFollower
from backend.runtime.http_protocol import GuardedProtocol
from backend.runtime.learning_process import LearningProcess
from backend.runtime.log_writer import MAX_WAITING, LogWriter
from backend.runtime.logs import log_to_stderr
from backend.runtime.notifier_follower import Notifier
from backend.runtime.notifier_follower import follower as notifier_of
from backend.runtime.retention_follower import RetentionFollower
from backend.runtime.scoring_follower import ScoringFollower
from backend.runtime.settings import Settings
from backend.runtime.simulator_follower import SimulatorFollower
from backend.runtime.training_follower import TrainingFollower
from backend.runtime.webhook_follower import WebhookFollower
from backend.runtime.webhook_follower import follower as webhook_of
from backend.services.access import Gate

log = logging.getLogger("iops.engine")
KEEP_ALIVE_SECONDS = 75
MAX_CONNECTIONS = 4_000
STOP_SECONDS, CLOSE_SECONDS = (
    1.2,
    0.3,
)  # with the server's own second within the three that `iops up` promises
USE_SECONDS = 60.0  # how often it is written down when keys were last used


def clock() -> int:
    """Microseconds UTC now."""
    return time.time_ns() // 1_000


def _end_process() -> None:
    """The writer is gone: stop like on SIGTERM, so that the supervisor starts a new engine."""
    os.kill(os.getpid(), signal.SIGTERM)


class Engine:
    """Everything the engine runs beside the server; started and stopped with it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stopping = threading.Event()
        self._store: SqliteStore | None = None
        self._writer: LogWriter | None = None
        self._follower: SimulatorFollower | None = None
        self._explainer: ExplainerFollower | None = None
        self._forecaster: ForecastFollower | None = None
        self._scorer: ScoringFollower | None = None
        self._trainer: TrainingFollower | None = None
        self._backtests: BacktestFollower | None = None
        self._webhook: WebhookFollower | None = None
        self._notifier: Notifier | None = None
        self._retention: RetentionFollower | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> tuple[Api, Intake]:
        settings = self.settings
        local_access.prepare(settings.data_dir)
        store = self._store = SqliteStore(settings.database, checkpoints=True)
        access = SqliteAccess(store)
        gate = Gate(access, local_access.fixed_credentials(settings), time.monotonic)
        apart = settings.log_level if settings.folds_apart else None
        writer = self._writer = LogWriter(store, clock, deliver_to(loop), failed=_end_process, apart=apart)
        writer.start()
        secret = local_access.secret(settings.data_dir, local_access.SIGNING).encode()
        began = time.monotonic()
        explainer = self._explainer = explainer_of(store, settings, clock)
        learning = LearningProcess(settings.database, settings.log_level) if settings.folds_apart else None
        forecaster = self._forecaster = ForecastFollower(store, clock, learning)
        scorer = self._scorer = local_models.follower(store, settings, clock)
        trainer = self._trainer = local_models.trainer(store, settings, clock)

        def figures() -> dict[str, float]:
            found: dict[str, float] = {f"writer_{name}": value for name, value in writer.stats().items()}
            return (
                found
                | explainer.figures()
                | forecaster.figures()
                | (scorer.figures() if scorer is not None else {})
                | {"uptime_seconds": time.monotonic() - began}
            )

        def ready() -> bool:
            return not self._stopping.is_set() and writer.stats()["waiting"] < MAX_WAITING

        # Folding makes many short-lived lists; the default thresholds would spend a tenth of its time looking for cycles.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        api = Api(
            settings.read_only,
            store,
            gate,
            clock,
            secret,
            figures,
            ready,
            models=local_models.registry(settings.data_dir),
            tries_limits=True,
        )
        self._backtests = BacktestFollower(
            store, clock, lambda rule_id: start_backtest(settings.database, settings.log_level, rule_id)
        )
        self._backtests.start()
        self._follower = SimulatorFollower(store, self._runner, clock)
        self._follower.start()
        explainer.start()
        forecaster.start()
        if scorer is not None:
            scorer.start()
        if trainer is not None:
            trainer.start()
        self._webhook = webhook_of(store, settings, clock)
        if self._webhook is not None:
            self._webhook.start()
        self._notifier = notifier_of(store, settings, clock)
        self._notifier.start()
        self._retention = RetentionFollower(store, settings.keep_days, clock)
        self._retention.start()
        threading.Thread(target=self._save_use, args=(gate,), name="key-use", daemon=True).start()
        log.info("engine ready at %s, data in %s", settings.api_url, settings.data_dir)
        return api, Intake(gate, writer, access, clock, limited=settings.rate_limit)

    def stop(self) -> None:
        """Commit what is waiting, leave what can be made again, fold the WAL back into the file; in STOP_SECONDS or so.

        A thread that is still busy then is left behind: nothing that was acknowledged hangs on it.
        """
        self._stopping.set()
        deadline = time.monotonic() + STOP_SECONDS
        parts = (
            self._follower,
            self._explainer,
            self._forecaster,
            self._scorer,
            self._trainer,
            self._backtests,
            self._webhook,
            self._notifier,
            self._retention,
        )
        for part in parts:
            if part is not None:
                part.stop(0)  # all are told before any is waited for
        if self._writer is not None:
            self._writer.stop(STOP_SECONDS)
        for part in parts:
            if part is not None:
                part.stop(max(0.0, deadline - time.monotonic()))
        if self._store is not None:
            self._store.close(timeout=CLOSE_SECONDS)

    def _runner(self, **chosen: Any) -> Any:
        from simulator.run import Runner

        return Runner(self.settings.api_url, local_access.local_key(self.settings), **chosen)

    def _save_use(self, gate: Gate) -> None:
        while not self._stopping.wait(USE_SECONDS):
            try:
                gate.save_use()
            except Exception:
                log.exception("could not note when keys were used")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl+C; returns when everything accepted is durable."""
    log_to_stderr(settings.log_level)
    lifeline.watch()
    SqliteStore(settings.database).close()  # a file of another version is refused here, in one sentence
    server(settings).run()


def server(settings: Settings) -> uvicorn.Server:
    """The engine as a server that has not started yet."""
    engine = Engine(settings)
    config = uvicorn.Config(
        FrontDoor(settings, engine.start, engine.stop),
        host=settings.host,
        port=settings.api_port,
        loop="uvloop",
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=2_048,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)
