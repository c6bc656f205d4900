"""Bad input of every kind is refused with a decided status: never 5xx, never a hang, and the server is well afterwards."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.journeys.conftest import KEY, Running

JSON = {"Content-Type": "application/json"}
REFUSED = range(400, 500)
Case = tuple[str, dict[str, str], bytes, Any]  # name, headers, body, statuses allowed


def event(**payload: Any) -> dict[str, Any]:
    return {"event_type": "ib_call_logged", "payload": {"student_id": "s", "call_id": "c"} | payload}


def dumped(name: str, value: Any, allowed: Any = REFUSED) -> Case:
    return name, JSON, json.dumps(value).encode(), allowed


def raw(name: str, body: bytes, allowed: Any = REFUSED, **headers: str) -> Case:
    return name, JSON | {key.replace("_", "-"): value for key, value in headers.items()}, body, allowed


GOOD = json.dumps(event()).encode()


def syntax() -> list[Case]:
    bodies = [
        b"",
        b" ",
        b"null",
        b"true",
        b"1",
        b'"x"',
        b"{",
        b"[",
        b"{}",
        b"[[]]",
        b"{'a':1}",
        b'{"a":1,}',
        b"[1,]",
    ]
    bodies += [GOOD[:n] for n in (1, 10, 20, 40, len(GOOD) - 1)]
    bodies += [
        GOOD + GOOD,
        b"// c\n" + GOOD,
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"0x10",
    ]
    bodies += [b'{"event_type":"\\x41"}', b'{"event_type":"\\ud800"}', b'{"event_type":"\\udc00\\ud800"}']
    bodies += [
        b'"\xff"',
        b'{"event_type":"\xc0\xaf"}',
        b'{"event_type":"\xed\xa0\x80"}',
        b"\xef\xbb\xbf" + GOOD,
    ]
    bodies += [GOOD.decode().encode(code) for code in ("utf-16", "utf-32", "utf-16-le")]
    bodies += [
        b"<event/>",
        b"event_type: x",
        b"\x80\x04N.",
        b"\x82\xa1a\x01",
        b"\x00" * 40,
        b'{"a":"\x01"}',
        b"a=b&c=d",
    ]
    cases = [raw(f"syntax {n}: {body[:24]!r}", body) for n, body in enumerate(bodies)]
    # Several lines are several documents, not one.
    return [*cases, raw("two lines as json", GOOD + b"\n" + GOOD)]


def structure() -> list[Case]:
    values = [
        None,
        True,
        0,
        1.5,
        [],
        {},
        "",
        " ",
        "ib_call_logged ",
        "IB_CALL_LOGGED",
        "x" * 10_000,
        "__proto__",
        "a\x00b",
    ]
    cases = [dumped(f"event_type {value!r:.20}", event() | {"event_type": value}) for value in values]
    cases += [
        dumped(f"payload {value!r:.20}", {"event_type": "ib_call_logged", "payload": value})
        for value in (None, 1, "x", [], True)
    ]
    cases += [
        dumped(f"event_id {value!r:.20}", event() | {"event_id": value})
        for value in (1, True, [], {}, "", " a", "a\n", "x" * 300)
    ]
    cases += [
        dumped(f"source {value!r:.20}", event() | {"source": value}) for value in (1, [], {}, "x" * 300)
    ]
    cases += [
        dumped(f"metadata {value!r:.20}", event() | {"metadata": value})
        for value in (1, [], "x", {"a": "x" * 20_000})
    ]
    return [
        *cases,
        dumped("cloud event with two types", event() | {"specversion": "1.0", "data": {}, "id": "a"}),
    ]


def fields() -> list[Case]:
    ids = [None, "", " ", [], {}, True, 1, {"$ne": ""}, "x" * 10_000, "a\x00b", "a\nb", " a", "a\u2028"]
    cases = [dumped(f"student_id {value!r:.20}", event(student_id=value)) for value in ids]
    numbers = [
        "-1",
        "1e999",
        "1" * 5_000,
        "9223372036854775808",
        '"5"',
        "true",
        "[1]",
        "{}",
        "-0.5",
        "86401",
        "NaN",
    ]
    for number in numbers:
        body = b'{"event_type":"ib_call_logged","student_id":"s","duration_seconds":' + number.encode() + b"}"
        cases.append(raw(f"number {number[:20]}", body))
    return cases


def timestamps() -> list[Case]:
    texts = [
        "",
        "x",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "0000-01-01T00:00:00Z",
    ]
    texts += [
        "10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:00",
        "0001-01-01T00:00:00+23:00",
        "2999-01-01T00:00:00Z",
    ]
    texts += [
        "2026-W01-1",
        "1767225600",
        "1600-01-01T00:00:00Z",
        "٢٠٢٦-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\x00",
    ]
    texts += ["2026-01-01T25:00:00Z", "2026-01-01T00:00:00+99:00", "2026-01-01T00:61:00Z", "1" * 10_000]
    values: list[Any] = [*texts, 0, 1767225600, 1.5, True, [], {}]
    return [dumped(f"time {value!r:.28}", event() | {"occurred_at": value}) for value in values]


def size() -> list[Case]:
    cases = [
        raw(f"depth {n} {kind}", opening * n, {400})
        for n in (500, 100_000)
        for kind, opening in (("array", b"["), ("object", b'{"a":'))
    ]
    cases += [raw(f"closed depth {n}", b"[" * n + b"]" * n, {400}) for n in (33, 500, 100_000)]
    cases += [
        raw(
            "deep in metadata",
            b'{"event_type":"ib_call_logged","student_id":"s","metadata":' + b'{"a":' * 40 + b"1" + b"}" * 41,
            {400},
        )
    ]
    cases += [
        dumped("many keys", {f"k{n}": 1 for n in range(10_000)}),
        dumped("long key", {"k" * 100_000: 1}),
    ]
    cases += [
        raw("over the limit", b" " * 1_048_577, {413}),
        raw("four times the limit", b" " * 4_194_304, {413}),
    ]
    cases += [raw("gzip bomb", gzip.compress(b" " * 50_000_000), {413}, Content_Encoding="gzip")]
    cases += [raw("broken gzip", b"\x1f\x8bnonsense", {400}, Content_Encoding="gzip")]
    cases += [raw("gzip with more behind it", gzip.compress(GOOD) + b"x", {400}, Content_Encoding="gzip")]
    cases += [
        raw(f"encoding {name}", GOOD, {415}, Content_Encoding=name)
        for name in ("br", "zstd", "gzip, gzip", "x")
    ]
    cases += [dumped("1,001 items", [event()] * 1_001, {413}), dumped("20,000 items", [1] * 20_000, {413})]
    return cases


def batches() -> list[Case]:
    bodies = [
        [],
        [None],
        [[]],
        [1, 2],
        [[event()]],
        {"events": []},
        {"events": None},
        {"events": {}},
        {"events": "x"},
        {"events": 1},
    ]
    return [dumped(f"batch {body!r:.24}", body) for body in bodies]


def media() -> list[Case]:
    kinds = [
        "",
        "text/plain",
        "text/xml",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ]
    kinds += [
        "application/octet-stream",
        "*/*",
        "json",
        "application/json2",
        "application/json; charset=latin-1",
        "application",
    ]
    cases: list[Case] = [(f"type {kind}", {"Content-Type": kind}, GOOD, {415}) for kind in kinds]
    cases.append(("no type", {}, GOOD, {415}))
    cloud = {
        "specversion": "1.0",
        "id": "a",
        "source": "/p",
        "type": "ib_call_logged",
        "data": {"student_id": "s"},
    }
    for name in cloud:
        body = {key: value for key, value in cloud.items() if key != name}
        cases.append(
            (
                f"cloud event without {name}",
                {"Content-Type": "application/cloudevents+json"},
                json.dumps(body).encode(),
                REFUSED,
            )
        )
    for name, value in (
        ("specversion", "0.3"),
        ("id", 1),
        ("source", ""),
        ("type", "x"),
        ("data", 1),
        ("time", "x"),
    ):
        body = cloud | {name: value}
        cases.append(
            (
                f"cloud event {name}={value!r}",
                {"Content-Type": "application/cloudevents+json"},
                json.dumps(body).encode(),
                REFUSED,
            )
        )
    cases.append(
        (
            "batch that is none",
            {"Content-Type": "application/cloudevents-batch+json"},
            json.dumps(cloud).encode(),
            REFUSED,
        )
    )
    cases.append(("event that is a batch", {"Content-Type": "application/cloudevents+json"}, b"[]", REFUSED))
    return cases


CASES = [*syntax(), *structure(), *fields(), *timestamps(), *size(), *batches(), *media()]
INJECTIONS = [
    "' OR 1=1 --",
    "*)(uid=*",
    "$(reboot)",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "=1+1",
    "<script>alert(1)</script>",
    "%s%n",
    "a\u0301",
    "\u202eevil",
    "zero\u200bwidth",
    "../../etc/passwd",
    "http://169.254.169.254/",
    "ignore all instructions",
    "a" * 250 + "!",
    "\U0001f600",
]


def test_the_corpus_is_large_enough() -> None:
    assert len(CASES) >= 150


@pytest.mark.parametrize(
    ("headers", "body", "allowed"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_bad_input_is_refused(api: Running, headers: dict[str, str], body: bytes, allowed: Any) -> None:
    answer = api.call("POST", "/v1/events", body, {"X-API-Key": KEY, **headers})
    assert answer.status in allowed, (answer.status, answer.body[:300])
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["errors"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_text_is_data_whatever_it_says(api: Running, text: str) -> None:
    answer = api.post(
        {"event_type": "ib_call_logged", "student_id": text, "call_id": f"inj {INJECTIONS.index(text)}"}
    )
    assert answer.status in (202, 422)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": KEY + "x"},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": "' OR 1=1 --"},
        {"X-API-Key": "k" * 5_000},
        {"X-Api-Token": KEY},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
        {"Cookie": f"key={KEY}"},
    ],
)
def test_no_or_a_wrong_key_is_refused_before_the_body_is_read(api: Running, headers: dict[str, str]) -> None:
    answer = api.call("POST", "/v1/events", b"{broken", {**JSON, **headers})
    assert answer.status == 401
    assert "www-authenticate" in answer.headers
    assert api.call("POST", f"/v1/events?key={KEY}", b"{broken", {**JSON, **headers}).status == 401


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_a_wrong_method_names_the_right_ones(api: Running, method: str) -> None:
    answer = api.call(method, "/v1/events", headers={"X-API-Key": KEY})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/events", "/v1/events/", "/admin", "/v1/%00", "/..%2f..", "//", "/ingest.php"]
)
def test_an_unknown_path_is_not_found(api: Running, path: str) -> None:
    answer = api.get(path)
    assert (answer.status, answer.headers["content-type"].split(";")[0]) == (404, "application/problem+json")


def test_the_server_is_well_after_all_that(api: Running) -> None:
    assert api.call("GET", "/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/v1/nowhere", "/v1/entities/student/nobody", "/v1/alerts/al_none"])
def test_what_is_not_there_has_one_code(api: Running, path: str) -> None:
    answer = api.get(path)
    assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "not_found")
