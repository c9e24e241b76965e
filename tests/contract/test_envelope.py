"""The one shape of every answer, whatever the status, and the codes that tell the errors apart."""

import gc
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import msgspec
import pytest
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from retailos import __version__, errors
from retailos.api.middleware import HEADER_BYTES, URL_BYTES, FrontDoor
from retailos.database.pool import Connection
from retailos.errors import Problem, RetailOSError, ValidationFailed
from retailos.settings import Settings
from tests.contract import wire
from tests.contract.conftest import ENVELOPE, Api, Response, check_envelope, serving

PERSONAL = "Kanarienvogel"


def family(kind: type[RetailOSError] = RetailOSError) -> Iterator[type[RetailOSError]]:
    """Every kind of error, the subclasses behind their class."""
    yield kind
    for each in kind.__subclasses__():
        yield from family(each)


def raised(kind: type[RetailOSError]) -> RetailOSError:
    """An error of a kind, with nothing said but what it says by itself."""
    return kind([Problem("/a", "A", "expected a")]) if issubclass(kind, ValidationFailed) else kind()


async def asked(error: Exception) -> Response:
    """What the front door makes of an application that raises."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    sent: list[Mapping[str, Any]] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "raw_path": b"/", "query_string": b"", "http_version": "1.1"}
    await FrontDoor(application)({**scope, "headers": [(b"host", b"x")]}, receive, send)
    start, body = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return Response(start["status"], headers, body["body"])


@pytest.mark.parametrize("kind", list(family()), ids=lambda kind: kind.__name__)
async def test_every_error_has_the_same_face(kind: type[RetailOSError]) -> None:
    """Each kind of error is a status, a code and a message of its own, in the envelope."""
    answer = await asked(raised(kind))
    envelope = check_envelope(answer, kind.status)
    assert envelope["error"]["code"] == kind.code
    assert envelope["error"]["message"] == (kind.__doc__ or "").strip()
    assert envelope["statusMessage"] == HTTPStatus(kind.status).phrase
    assert envelope["action"] is None
    if issubclass(kind, ValidationFailed):
        assert envelope["error"]["details"] == {"errors": [{"path": "/a", "code": "A", "message": "expected a"}]}
    if kind.status in (429, 503):
        assert kind.status == 429 or int(answer.headers["retry-after"]) >= 1


def test_a_code_means_one_thing() -> None:
    """No two kinds of error share a code, but for what is a defect of ours whatever its name."""
    codes = [kind.code for kind in family() if kind.status != 500]
    assert len(codes) == len(set(codes))
    assert {kind.code for kind in family() if kind.status == 404} == {"RESOURCE_NOT_FOUND", "ROUTE_NOT_FOUND"}
    assert all(code.replace("_", "").isupper() for code in codes)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(PERSONAL), KeyError(PERSONAL), RuntimeError(), errors.Internal()], ids=repr
)
async def test_a_defect_of_ours_is_a_500_that_tells_nothing(error: Exception) -> None:
    """What we did not think of is a 500 in the envelope, without a word of what went wrong inside."""
    answer = await asked(error)
    assert check_envelope(answer, 500)["error"]["code"] == "INTERNAL_ERROR"
    assert PERSONAL.encode() not in answer.body
    assert b"Traceback" not in answer.body


async def test_every_answer_has_its_own_id_and_moment(shop: Api) -> None:
    """Each answer's headers name the request, the moment and our version, equal to meta, and no two share an id."""
    paths = ["/customers", "/customers/nobody", "/nowhere", "/customers?limit=x"]
    answers = [await shop.get(path) for path in paths * 2]
    envelopes = [check_envelope(each) for each in answers]
    assert len({each["meta"]["requestId"] for each in envelopes}) == len(envelopes)
    assert {each.headers["x-ra-server-version"] for each in answers} == {__version__}
    assert all(each.headers["access-control-allow-origin"] == "*" for each in answers)
    assert all(each.headers["access-control-expose-headers"] for each in answers)
    assert all(each.headers["cache-control"] == "no-store" for each in answers)


async def test_an_answer_is_the_same_whether_or_not_the_connection_stays(shop: Api) -> None:
    """Answers on a connection that stays are written in one piece; nobody can tell."""
    stays = wire.put(shop.key, b'{"firstName": "Ada"}', path="/customers/stays")
    came = await shop.raw(stays + stays.replace(b"Host: x", b"Host: x\r\nConnection: close"))
    first, last = (
        [line.partition(b":")[0] for line in answer.partition(b"\r\n\r\n")[0].splitlines()]
        for answer in came.split(b"HTTP/1.1 ")[1:]
    )
    assert [*first, b"connection"] == last


async def test_a_request_may_not_choose_its_id(shop: Api) -> None:
    """The id of a request is made here; one that is sent along is another's."""
    answer = await shop.get("/customers", headers={"X-Ra-Request-Id": "mine", "X-Request-Id": "mine"})
    assert "mine" not in answer.headers.values()
    assert check_envelope(answer, 200)["meta"]["requestId"] != "mine"


async def test_an_answer_is_json_as_the_guide_writes_it(shop: Api) -> None:
    """An answer is compact UTF-8 with its length, its letters as they are."""
    await shop.put("/customers/utf8", {"firstName": "Zoë 😀"})
    answer = await shop.get("/customers/utf8")
    assert "Zoë 😀".encode() in answer.body
    assert answer.headers["content-length"] == str(len(answer.body))
    assert tuple(msgspec.json.decode(answer.body)) == ENVELOPE


async def test_two_kinds_of_404_are_told_apart_by_their_codes(shop: Api) -> None:
    """A record that is not there and a route that is not there have codes of their own, so nobody parses messages."""
    assert (await shop.get("/customers/nobody")).error["code"] == "RESOURCE_NOT_FOUND"
    assert (await shop.get("/nobodies/nobody")).error["code"] == "ROUTE_NOT_FOUND"


async def test_while_the_database_is_away_answers_are_503(
    settings: Settings, database: str, administrator: Connection
) -> None:
    """Without its database the API answers 503 in the envelope, says when to come back, and tells that it lives."""
    async with serving(settings, database) as api:
        assert check_envelope(await api.request("GET", "/health/ready", key=""), 200)["result"] == {"status": "ready"}
        assert (await api.get("/customers")).status == 200
        assert (await api.admin("GET", "/webhooks")).status == 200
        await administrator.execute(f"drop database {database.rpartition('/')[2]} with (force)")
        try:
            answers = [
                await api.get("/customers"),
                await api.get("/customers/nobody"),
                await api.put("/customers/nobody", {"firstName": "Ada"}),
                await api.post("/customers", {"firstName": "Ada"}),
                await api.admin("GET", "/webhooks"),
                await api.admin("POST", "/requeues", json={"webhook": 1}),
                await api.request("GET", "/health/ready", key=""),
            ]
            for answer in answers:
                assert check_envelope(answer, 503)["error"]["code"] == "UNAVAILABLE"
                assert int(answer.headers["retry-after"]) >= 1
            assert (await api.request("GET", "/health/live", key="")).status == 200
        finally:
            await administrator.execute(f"create database {database.rpartition('/')[2]}")


async def test_a_body_at_its_limit_is_taken(shop: Api) -> None:
    """A body may be as large as the limit, and not a byte larger; the refusal says how large it was."""
    limit = shop.engine.settings.body_limit_bytes
    body = b'{"firstName": "Ada"}'
    at_limit = await shop.request("PUT", "/v2/public/customers/large", body=body.ljust(limit))
    assert check_envelope(at_limit, 200)["result"][0]["outcome"] == "created"
    beyond = await shop.request("PUT", "/v2/public/customers/large", body=body.ljust(limit + 1))
    assert check_envelope(beyond, 413)["error"]["code"] == "PAYLOAD_TOO_LARGE"
    assert f"at most {limit} bytes, got {limit + 1}" in beyond.error["message"]


async def test_the_limit_of_a_body_is_a_setting(settings: Settings, database: str) -> None:
    """An operator may allow smaller or larger bodies."""
    async with serving(replace(settings, body_limit_bytes=1024), database) as api:
        body = b'{"firstName": "Ada"}'
        assert (await api.request("PUT", "/v2/public/customers/x", body=body.ljust(1024))).status == 200
        assert (await api.request("PUT", "/v2/public/customers/x", body=body.ljust(1025))).status == 413


async def test_a_url_at_its_limit_is_taken(shop: Api) -> None:
    """A URL may be 8 KiB long, and not a byte longer."""
    path = "/v2/public/customers?email="
    at_limit = await shop.request("GET", path.ljust(URL_BYTES + 1, "x"))
    assert at_limit.status == 200, at_limit.body
    assert (await shop.request("GET", path.ljust(URL_BYTES + 2, "x"))).error["code"] == "URI_TOO_LONG"


async def test_headers_at_their_limit_are_taken(shop: Api) -> None:
    """Headers may have 16 KiB together, and not a byte more."""
    own = {"Host": "127.0.0.1", "Connection": "close", "Authorization": f"API_KEY {shop.key}"}
    left = HEADER_BYTES - sum(len(name) + len(value) + 4 for name, value in own.items()) - len("X-Much") - 4
    assert (await shop.get("/customers", headers={"X-Much": "x" * left})).status == 200
    assert (await shop.get("/customers", headers={"X-Much": "x" * (left + 1)})).error["code"] == "HEADERS_TOO_LARGE"


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/*", "text/html, */*;q=0.1", "APPLICATION/JSON", ""]
)
async def test_whoever_takes_json_gets_it(shop: Api, accept: str) -> None:
    """An Accept that has room for JSON is answered."""
    assert (await shop.get("/customers", headers={"Accept": accept})).status == 200


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json; charset=utf-8; x=y",
        'application/json; x="a;b"; charset=utf-8',
        'application/json; profile="charset=utf-16"',
        'application/json; profile="a\\"; charset=utf-16"',
        "application/json;",
    ],
)
async def test_json_is_taken_however_it_is_announced(shop: Api, kind: str) -> None:
    """The media type's case, a charset of UTF-8 and parameters of other names make no difference."""
    answer = await shop.put("/customers/announced", {"firstName": "Ada"}, headers={"Content-Type": kind})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("headers", "came"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded"}, "as application/x-www-form-urlencoded"),
        ({"Content-Type": "application/json; charset=utf-16"}, "as application/json; charset=utf-16"),
        ({"Content-Type": ""}, "without a media type"),
        ({"Content-Type": "té/xt"}, "without a media type"),
    ],
)
async def test_another_media_type_is_told_what_it_is(shop: Api, headers: dict[str, str], came: str) -> None:
    """A body that is announced as something else than JSON, as curl does by itself, is told what it came as."""
    error = (await shop.put("/customers/announced", {"firstName": "Ada"}, headers=headers)).error
    assert error["code"] == "UNSUPPORTED_MEDIA_TYPE"
    assert error["message"].endswith(f" It came {came}; send the header Content-Type: application/json.")


PROBLEM_MEMBERS = ("type", "title", "status", "detail", "instance", "code", "details")
PROBLEMS = {
    "a record that is not there": ("GET", "/v2/public/customers/nobody", {}, 404, "RESOURCE_NOT_FOUND"),
    "a route that is not there": ("GET", "/v2/public/nobodies", {}, 404, "ROUTE_NOT_FOUND"),
    "a wrong value": ("PUT", "/v2/public/customers/a", {"json": {"dob": "1904-01-01"}}, 400, "VALIDATION_ERROR"),
    "no JSON": ("PUT", "/v2/public/customers/a", {"body": b"{"}, 400, "MALFORMED_JSON"),
    "an unknown parameter": ("GET", "/v2/public/customers?emial=a", {}, 400, "UNKNOWN_PARAMETER"),
    "no key": ("GET", "/v2/public/customers", {"key": ""}, 401, "UNAUTHORIZED"),
    "another method": ("TRACE", "/v2/public/customers", {}, 405, "METHOD_NOT_ALLOWED"),
    "too long a URL": ("GET", "/" + "c" * 9_000, {}, 414, "URI_TOO_LONG"),
}


@pytest.mark.parametrize(("method", "path", "sent", "status", "code"), PROBLEMS.values(), ids=list(PROBLEMS))
async def test_who_asks_for_problems_gets_them(
    shop: Api, method: str, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    """Accept: application/problem+json gets the same error as RFC 9457 writes it, with the headers of every answer."""
    usual = await shop.request(method, path, **sent)
    answer = await shop.request(method, path, headers={"Accept": "application/problem+json"}, **sent)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    told = answer.json
    assert tuple(told) == PROBLEM_MEMBERS
    assert (told["status"], told["title"]) == (status, HTTPStatus(status).phrase)
    assert (told["code"], told["detail"], told["details"]) == tuple(usual.error.values())
    assert (told["code"], told["type"]) == (code, f"/v2/public/docs#{code}")
    assert told["instance"] == f"urn:uuid:{answer.headers['x-ra-request-id']}"
    assert answer.headers.keys() == usual.headers.keys()
    assert answer.headers["content-length"] == str(len(answer.body))


@pytest.mark.parametrize(
    "accept", ["application/problem+json", "application/json, application/problem+json", "APPLICATION/Problem+JSON;q=1"]
)
async def test_a_success_is_an_envelope_whatever_errors_look_like(shop: Api, accept: str) -> None:
    """Who asks for problems still gets successes in the envelope, and problems however the wish is written."""
    check_envelope(await shop.get("/customers", headers={"Accept": accept}), 200)
    refused = await shop.get("/customers/nobody", headers={"Accept": accept})
    assert refused.headers["content-type"] == "application/problem+json"
    usual = await shop.get("/customers/nobody", headers={"Accept": "application/json"})
    check_envelope(usual, 404)


async def test_a_request_leaves_no_circles_behind(api: Api) -> None:
    """What a request was is gone with its answer: a search for garbage holds all others up."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(30):
            assert (await api.get("/customers?limit=1")).status == 200
            assert (await api.get("/customers/external/unknown")).status == 404
        left = sum(type(each) is RequestResponseCycle for each in gc.get_objects())
    finally:
        gc.enable()
    # Each connection holds the last of its own.
    assert left < 10
