"""What processes say of themselves: JSON lines on standard error."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from backend.services.announcements import RUN

_ABOUT = ("request_id", "requests", "events", "alert_id", "insights")


class JsonLines(logging.Formatter):
    """One JSON object per line; control characters of any text are escaped by the encoding. What a line is about stands apart,
    the request in whose course it was written too."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:2_000],
        }
        if run := RUN.get():
            line["request_id"] = run
        line |= {name: value for name in _ABOUT if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)[-4_000:]
        return json.dumps(line)


def log_to_stderr(level: str) -> None:
    """Log JSON lines to stderr; libraries only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("WARNING")
    logging.getLogger("iops").setLevel(level)
    logging.getLogger("uvicorn.error").setLevel("ERROR")  # it warns of every malformed request
