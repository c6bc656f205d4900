"""Settings: environment variables `IOPS_...`, read here and nowhere else. docs/settings.md is the same table for people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import click

from backend.domain.token_prices import token_prices

LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))


class Setting(NamedTuple):
    """One documented variable: `field` is the attribute of Settings that it fills."""

    variable: str
    field: str
    default: str
    meaning: str


TABLE = (
    Setting(
        "IOPS_DATA_DIR",
        "data_dir",
        "$XDG_DATA_HOME/iops or ~/.local/share/iops",
        "folder of the database, the local access token and the local ingest key",
    ),
    Setting(
        "IOPS_HOST",
        "host",
        "127.0.0.1",
        "address to listen on; wider than loopback needs IOPS_TOKEN and IOPS_BEHIND_TLS=1",
    ),
    Setting("IOPS_PORT", "port", "8050", "port of the dashboard"),
    Setting("IOPS_API_PORT", "api_port", "8051", "port of the HTTP API"),
    Setting(
        "IOPS_TOKEN", "token", "made at the first start, file `token`", "access token of the local admin"
    ),
    Setting(
        "IOPS_INGEST_KEY", "ingest_key", "none", "a key accepted for ingest, besides those of `iops keys`"
    ),
    Setting("IOPS_RUNTIME", "runtime", "local", "`local` (SQLite, this machine) or `aws`"),
    Setting("IOPS_RATE_LIMIT", "rate_limit", "on", "`off` lifts the limits per key, for load tests"),
    Setting(
        "IOPS_BEHIND_TLS", "behind_tls", "0", "1: a proxy in front ends TLS; allows listening beyond loopback"
    ),
    Setting(
        "IOPS_ALLOWED_HOSTS",
        "allowed_hosts",
        "loopback names",
        "further host names that requests may carry, comma-separated",
    ),
    Setting(
        "IOPS_CORS_ORIGINS",
        "cors_origins",
        "none",
        "exact origins whose pages may call the API, comma-separated",
    ),
    Setting("IOPS_READ_ONLY", "read_only", "0", "1: the dashboard and the API take no commands"),
    Setting(
        "IOPS_KEEP_DAYS",
        "keep_days",
        "400",
        "days that events, their counts and ended alerts are kept after both happening and arriving; at least 60, 0: for ever",
    ),
    Setting("IOPS_STAGE", "stage", "local", "name of the environment, shown in the header"),
    Setting("IOPS_REGION", "region", "none", "name of the region, shown in the header"),
    Setting(
        "IOPS_WEB_THREADS",
        "web_threads",
        "48",
        "threads of the dashboard; each open live connection holds one",
    ),
    Setting(
        "IOPS_LLM",
        "llm",
        "off",
        "who words explanations: `off` (rules, nothing leaves), `anthropic`, `bedrock` or `openai`; a second one after a comma stands in",
    ),
    Setting("IOPS_LLM_MODEL", "llm_model", "a Haiku-class Claude", "model of each, in the same order"),
    Setting(
        "IOPS_MODELS",
        "models",
        "local",
        "who scores students and tutors: `local` (files in the data folder), `off`, or `sagemaker:NAME` (an endpoint)",
    ),
    Setting(
        "IOPS_TRAIN_EVERY",
        "train_every",
        "30",
        "days after which this installation's log trains new models, in use only where they are better; 0: only when asked",
    ),
    Setting("IOPS_LLM_DAILY_CALLS", "llm_daily_calls", "500", "most calls to language models in a day (UTC)"),
    Setting(
        "IOPS_LLM_DAILY_USD",
        "llm_daily_usd",
        "5",
        "most dollars for language models in a day (UTC), by the tokens used and IOPS_LLM_PRICE",
    ),
    Setting(
        "IOPS_LLM_PRICE",
        "llm_price",
        "1/5",
        "dollars per million tokens read and written of each model, in the same order, like `3/15,0.5/2`; without it the list price of a Haiku-class Claude",
    ),
    Setting(
        "IOPS_LLM_RATE_PER_MINUTE", "llm_rate_per_minute", "30", "most calls to language models in a minute"
    ),
    Setting("IOPS_LLM_SHARE", "llm_share", "1", "share of entities, 0 to 1, that a model is asked about"),
    Setting(
        "IOPS_LLM_URL",
        "llm_url",
        "the provider's own",
        "base address of the API of `openai`, or one compatible with it",
    ),
    Setting("IOPS_LLM_KEY", "llm_key", "none", "key of the API at IOPS_LLM_URL"),
    Setting(
        "IOPS_PARTNER_URL", "partner_url", "none", "https address that is told about risks of 80 and more"
    ),
    Setting("IOPS_PARTNER_SECRET", "partner_secret", "none", "what deliveries to it are signed with"),
    Setting(
        "IOPS_PARTNER_HOSTS",
        "partner_hosts",
        "none",
        "host names of the partner that may be plain http or in a private network, comma-separated",
    ),
    Setting(
        "IOPS_PUBLIC_URL",
        "public_url",
        "the dashboard's address on this machine",
        "address of the dashboard that links in messages begin with, like https://iops.example.com",
    ),
    Setting(
        "IOPS_NOTIFY_HOSTS",
        "notify_hosts",
        "none",
        "host names in a private network that messages may be sent to (a mail relay), comma-separated",
    ),
    Setting(
        "IOPS_EMBED_ORIGINS",
        "embed_origins",
        "none",
        "exact origins whose pages may show the dashboard in a frame (`?embed=1`), comma-separated",
    ),
    Setting(
        "IOPS_FOLDING",
        "folding",
        "auto",
        "where events are folded: process (one of its own), thread (of the engine), or auto: process where there are two CPUs",
    ),
    Setting("IOPS_LOG_LEVEL", "log_level", "INFO", "DEBUG, INFO, WARNING or ERROR"),
)
FOLDING = ("auto", "process", "thread")
_BOOLEANS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
    "": False,
}


_SECRETS = ("token", "ingest_key", "llm_key", "partner_secret")
LEAST_KEPT_DAYS = 60
LLM_PROVIDERS = ("anthropic", "bedrock", "openai")


class BadSetting(click.ClickException):
    """A setting cannot be used; the message names the variable and says what to do."""


@dataclass(frozen=True)
class Settings:
    """What a process of this installation runs with. Secrets are kept out of `repr`."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8050
    api_port: int = 8051
    token: str | None = None
    ingest_key: str | None = None
    runtime: str = "local"
    rate_limit: bool = True
    behind_tls: bool = False
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    read_only: bool = False
    stage: str = "local"
    region: str | None = None
    keep_days: int = 400
    web_threads: int = 48
    llm: tuple[str, ...] = ()
    llm_model: tuple[str, ...] = ()
    models: str = "local"
    train_every: int = 30
    llm_daily_calls: int = 500
    llm_daily_usd: int = 5
    llm_price: tuple[str, ...] = ()
    llm_rate_per_minute: int = 30
    llm_share: float = 1.0
    llm_url: str | None = None
    llm_key: str | None = None
    partner_url: str | None = None
    partner_secret: str | None = None
    partner_hosts: tuple[str, ...] = ()
    public_url: str = ""
    notify_hosts: tuple[str, ...] = ()
    embed_origins: tuple[str, ...] = ()
    folding: str = "auto"
    log_level: str = "INFO"

    @property
    def folds_apart(self) -> bool:
        """Whether folding has a process of its own."""
        return self.folding == "process" or (self.folding == "auto" and (os.cpu_count() or 1) > 1)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{f.name}={'***' if f.name in _SECRETS and getattr(self, f.name) else getattr(self, f.name)!r}"
            for f in fields(self)
        )
        return f"Settings({shown})"

    @property
    def database(self) -> Path:
        return self.data_dir / "iops.db"

    @property
    def api_url(self) -> str:
        return f"http://{_reachable(self.host)}:{self.api_port}"

    @property
    def web_url(self) -> str:
        return f"http://{_reachable(self.host)}:{self.port}"

    @property
    def link_url(self) -> str:
        """What links in messages begin with."""
        return self.public_url.rstrip("/") or self.web_url

    @property
    def hosts(self) -> frozenset[str] | None:
        """Host names that requests may carry; None: any (only behind a proxy that was not given names)."""
        if self.host in LOOPBACK or self.allowed_hosts:
            return LOOPBACK | {name.lower() for name in self.allowed_hosts}
        return None


def read(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """The settings from the environment; `overrides` that are not None win (command-line options).

    Raises BadSetting with the variable's name. Refuses to listen beyond loopback without a token of one's own and TLS.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {"data_dir": default_data_dir(environ)}
    for setting in TABLE:
        text = environ.get(setting.variable)
        if text is not None and (
            text or setting.field not in ("data_dir", "llm_url", "partner_url", *_SECRETS)
        ):
            values[setting.field] = _value(setting, text.strip())
    values |= {name: value for name, value in overrides.items() if value is not None}
    values["data_dir"] = Path(values["data_dir"]).expanduser().absolute()
    settings = Settings(**values)
    # On AWS people's own tokens are in the table from the start; here there would be none but the printed one.
    known = environ.get("IOPS_TOKEN") or settings.runtime == "aws"
    if settings.host not in LOOPBACK and not (known and settings.behind_tls):
        raise BadSetting(
            f"{settings.host} can be reached from other machines. That needs an access token of your own (IOPS_TOKEN) and "
            "a proxy in front that ends TLS (IOPS_BEHIND_TLS=1). To use it on this machine only, leave out --host."
        )
    if 0 < settings.keep_days < LEAST_KEPT_DAYS:
        raise BadSetting(
            f"IOPS_KEEP_DAYS must be at least {LEAST_KEPT_DAYS}, or 0 to keep everything: windows of 30 days and repeats that come "
            f"late need that much, not {settings.keep_days}"
        )
    if settings.partner_url and not settings.partner_secret:
        raise BadSetting(
            "IOPS_PARTNER_URL needs IOPS_PARTNER_SECRET: the partner tells our deliveries by their signature"
        )
    return settings


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Where data lives unless IOPS_DATA_DIR says otherwise."""
    base = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "iops"


def _value(setting: Setting, text: str) -> Any:
    kind = next(f.type for f in fields(Settings) if f.name == setting.field)
    if kind == "int":
        if not text.isascii() or not text.isdigit() or not 0 <= int(text) <= 65_535:
            raise BadSetting(f"{setting.variable} must be a number from 0 to 65535, not {text!r}")
        return int(text)
    if kind == "float":
        try:
            share = float(text)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise BadSetting(f"{setting.variable} must be a number from 0 to 1, not {text!r}")
        return share
    if kind == "bool":
        if text.lower() not in _BOOLEANS:
            raise BadSetting(f"{setting.variable} must be on or off, not {text!r}")
        return _BOOLEANS[text.lower()]
    if kind.startswith("tuple"):
        parts = tuple(part.strip() for part in text.split(",") if part.strip())
        if setting.field == "llm_price":
            return _prices(parts)
        return _providers(parts) if setting.field == "llm" else parts
    if setting.field == "runtime" and text not in ("local", "aws"):
        raise BadSetting(f"{setting.variable} must be local or aws, not {text!r}")
    if setting.field == "folding" and text not in FOLDING:
        raise BadSetting(f"{setting.variable} must be {', '.join(FOLDING)}, not {text!r}")
    if setting.field == "public_url" and (
        not text.startswith(("https://", "http://")) or any(c in text for c in ' "<>')
    ):
        raise BadSetting(f"{setting.variable} must be an http or https address, not {text!r}")
    if setting.field == "models":
        return _models(text)
    if setting.field == "log_level" and text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise BadSetting(f"{setting.variable} must be DEBUG, INFO, WARNING or ERROR, not {text!r}")
    return text.upper() if setting.field == "log_level" else text


def _models(text: str) -> str:
    if text in ("local", "off") or (text.startswith("sagemaker:") and text != "sagemaker:"):
        return text
    raise BadSetting(f"IOPS_MODELS must be local, off or sagemaker:NAME, not {text!r}")


def _providers(names: tuple[str, ...]) -> tuple[str, ...]:
    if names == ("off",):
        return ()
    for name in names:
        if name not in LLM_PROVIDERS:
            raise BadSetting(f"IOPS_LLM must be off, or of {', '.join(LLM_PROVIDERS)}, not {name!r}")
    return names


def _prices(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        token_prices(texts)
    except ValueError as error:
        raise BadSetting(f"IOPS_LLM_PRICE: {error}") from None
    return texts


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host
