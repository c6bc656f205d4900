"""Settings: what the environment means, what is refused, and that the table for people says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.runtime.settings import TABLE, BadSetting, Settings, read

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_documented_table_is_the_one_in_the_code() -> None:
    rows = [
        line.strip("| ").split(" | ")
        for line in DOCS.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    assert rows == [[f"`{s.variable}`", s.default, s.meaning] for s in TABLE]
    assert {s.field for s in TABLE} == set(Settings.__dataclass_fields__)


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("IOPS_PORT", "9000", "port", 9000),
        ("IOPS_RATE_LIMIT", "off", "rate_limit", False),
        ("IOPS_READ_ONLY", "1", "read_only", True),
        (
            "IOPS_CORS_ORIGINS",
            "https://a.example, https://b.example",
            "cors_origins",
            ("https://a.example", "https://b.example"),
        ),
        ("IOPS_DATA_DIR", "/somewhere", "data_dir", Path("/somewhere")),
        ("IOPS_TOKEN", "", "token", None),
        ("IOPS_LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("IOPS_FOLDING", "thread", "folding", "thread"),
    ],
)
def test_a_variable_sets_its_field(variable: str, text: str, field: str, value: object) -> None:
    assert getattr(read({variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("IOPS_PORT", "x"),
        ("IOPS_PORT", "70000"),
        ("IOPS_PORT", "-1"),
        ("IOPS_RATE_LIMIT", "maybe"),
        ("IOPS_RUNTIME", "moon"),
        ("IOPS_LOG_LEVEL", "loud"),
        ("IOPS_FOLDING", "elsewhere"),
        ("IOPS_HOST", "0.0.0.0"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(variable: str, text: str) -> None:
    with pytest.raises(BadSetting) as caught:
        read({variable: text})
    assert variable in caught.value.message or "IOPS_TOKEN" in caught.value.message


@pytest.mark.parametrize(
    ("environ", "allowed"),
    [
        ({}, False),
        ({"IOPS_TOKEN": "t"}, False),
        ({"IOPS_BEHIND_TLS": "1"}, False),
        ({"IOPS_TOKEN": "t", "IOPS_BEHIND_TLS": "1"}, True),
    ],
)
def test_other_machines_are_let_in_only_with_a_token_and_tls(environ: dict[str, str], allowed: bool) -> None:
    if allowed:
        assert read(environ, host="0.0.0.0").host == "0.0.0.0"
    else:
        with pytest.raises(BadSetting):
            read(environ, host="0.0.0.0")


def test_options_win_over_the_environment() -> None:
    assert read({"IOPS_PORT": "9000"}, port=9001, host=None).port == 9001


def test_secrets_are_not_shown() -> None:
    shown = repr(read({"IOPS_TOKEN": "hidden-token", "IOPS_INGEST_KEY": "hidden-key"}))
    assert "hidden" not in shown
