"""Connections to the one SQLite file: a read connection per thread, and one write transaction at a time.

Only the process that owns the log checkpoints (`checkpoints=True`): SQLite before 3.51.3 can corrupt a WAL when two
connections checkpoint while a third commits. Everyone else opens with wal_autocheckpoint=0.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backend.adapters.sqlite.schema import prepare
from backend.domain.errors import Unavailable

BUSY_TIMEOUT_MS = 5_000
# How often to look while another process writes. SQLite itself would wait up to 100 ms, in which the file is free, and taken, ten times.
LOOK_SECONDS = 0.001
# Every thread that serves a request reads through a connection of its own; the system keeps the pages of the file anyway.
READER_CACHE_KB = 2_048
CHECKPOINT_PAGES = 4_000  # about 16 MiB of WAL


class Connections:
    """Opens, keeps and closes the connections of one process to one file."""

    def __init__(self, path: Path, *, checkpoints: bool = False) -> None:
        self.path = path
        self._checkpoints = checkpoints
        self._local = threading.local()
        self._open: dict[
            threading.Thread, sqlite3.Connection
        ] = {}  # the connections that read, by their threads
        self._guard = threading.Lock()
        self._write_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._writing: threading.Thread | None = (
            None  # who holds the one write transaction; changes under the guard
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        self._prepare()

    def connection(self) -> sqlite3.Connection:
        """This thread's read connection. Never write through it."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        return self._reader() if found is None else found

    def _reader(
        self, prepared: Callable[[sqlite3.Connection], object] = lambda _: None
    ) -> sqlite3.Connection:
        """A read connection for this thread; those of threads that have ended are closed."""
        made = self._local.connection = self._connect()
        with self._guard:
            for thread in [known for known in self._open if not known.is_alive()]:
                self._open.pop(thread).close()
            self._open[threading.current_thread()] = made
        prepared(made)
        made.execute("PRAGMA query_only=ON")
        made.execute(f"PRAGMA cache_size=-{READER_CACHE_KB}")
        return made

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable write transaction: commits at the end, rolls back on any exception.

        Raises Unavailable when the disk refuses or another writer holds the file for too long; nothing is half applied.
        """
        with self._write_lock:
            if self._writer is None:
                self._writer = self._connect()
                self._writer.execute("PRAGMA busy_timeout=0")  # _begin waits
            connection = self._writer
            with self._guard:
                self._writing = threading.current_thread()
            try:
                _begin(connection)
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    raise Unavailable(f"the store cannot write just now ({error})") from error
                raise
            finally:
                with self._guard:
                    self._writing = None

    def data_version(self) -> int:
        """A number that changes when another connection has committed. Cheap enough to ask every 50 ms."""
        return self.connection().execute("PRAGMA data_version").fetchone()[0]

    def interrupt(self, *spared: threading.Thread) -> None:
        """End the statements that other threads are in, with an error there: transactions roll back. Not those of `spared`."""
        spared = (*spared, threading.current_thread())
        with self._guard:
            for thread, connection in self._open.items():
                if thread not in spared:
                    connection.interrupt()
            if self._writer is not None and self._writing not in (None, *spared):
                self._writer.interrupt()

    def close(self, timeout: float = 1.0) -> None:
        """Close every connection of this process; the owner folds the WAL back into the file first.

        Closing a connection under a thread that is inside it would crash the process. So a write under way is waited for,
        at most `timeout` seconds; and what other threads read through is let go of: it closes when nobody holds it any more.
        """
        if self._write_lock.acquire(timeout=timeout):
            try:
                if self._writer is not None:
                    if self._checkpoints:
                        with contextlib.suppress(sqlite3.Error):
                            self._writer.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
                            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    self._writer.close()
            finally:
                self._write_lock.release()
        with self._guard:
            for thread, connection in self._open.items():
                if thread is threading.current_thread() or not thread.is_alive():
                    connection.close()
            self._open.clear()
            self._writer = None
        self._local = threading.local()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-32768")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES if self._checkpoints else 0}")
        return connection

    def _prepare(self) -> None:
        try:
            self._reader(lambda connection: prepare(connection, self.path))
        except sqlite3.DatabaseError as error:
            self.close()
            raise Unavailable(
                f"{self.path} cannot be opened ({error}); put a copy back, or use another folder with --data-dir"
            ) from error
        except BaseException:
            self.close()
            raise


def _begin(connection: sqlite3.Connection) -> None:
    """Begin to write as soon as nobody else does. Raises sqlite3.OperationalError after BUSY_TIMEOUT_MS."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1_000
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(LOOK_SECONDS)
