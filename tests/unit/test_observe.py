"""What the program says is one JSON line for each happening, and silence costs next to nothing."""

import io
import json
import logging
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

from retailos import observe
from retailos.observe.deliveries import AttemptSettled, ClaimsRescued
from retailos.observe.page import OBSERVATIONS
from retailos.observe.process import DefectFound, Started, Stopping
from retailos.observe.requests import RequestAnswered

ANSWERED = RequestAnswered(
    method="PUT", route="/customers/{externalId}", status=200, milliseconds=1.5, request_id="r-1"
)


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    """Put the levels of the standard loggers back after each test."""
    names = ("", "retailos", "retailos.frequent")
    before = {name: (logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in names}
    yield
    for name, (level, handlers) in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers[:] = handlers


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Read back what was written, a JSON object each line."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_observation_is_one_line() -> None:
    """A happening becomes one JSON line with its name, level, time and fields."""
    stream = io.StringIO()
    observe.configure("info", stream)
    observe.emit(Started(role="api", address="http://127.0.0.1:8080"))
    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "Started", "level": "info", "role": "api", "address": "http://127.0.0.1:8080"}


def test_the_level_decides_what_is_written() -> None:
    """What is below the level that the operator set is not written."""
    stream = io.StringIO()
    observe.configure("warning", stream)
    observe.emit(Stopping(role="api"))
    observe.emit(ClaimsRescued(worker="w-1", count=3))
    assert [line["event"] for line in lines(stream)] == ["ClaimsRescued"]


@pytest.mark.parametrize(
    ("level", "asked", "written"),
    [("info", False, False), ("info", True, True), ("debug", False, True), ("warning", True, False)],
)
def test_what_happens_often_is_written_when_asked_for(level: str, asked: bool, written: bool) -> None:
    """Requests and attempts are logged with log_requests or at debug, and else cost nothing."""
    stream = io.StringIO()
    observe.configure(level, stream, frequent=asked)
    observe.emit(ANSWERED)
    assert observe.wanted(RequestAnswered) is observe.wanted(AttemptSettled) is written
    assert len(lines(stream)) == int(written)


def test_configuring_again_replaces_the_earlier_stream() -> None:
    """A process that is configured twice says everything once."""
    first, second = io.StringIO(), io.StringIO()
    observe.configure("info", first)
    observe.configure("info", second)
    observe.emit(Started(role="worker"))
    assert (len(lines(first)), len(lines(second))) == (0, 1)


def test_a_library_speaks_in_the_same_lines() -> None:
    """A warning of a library is a JSON line too, and its error comes without the message."""
    stream = io.StringIO()
    observe.configure("info", stream)
    try:
        raise ValueError("john.d@example.com")
    except ValueError:
        logging.getLogger("asyncio").exception("Task failed")
    logging.getLogger("asyncio").info("not worth a line")
    [line] = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("Task failed", "asyncio", "error")
    assert line["error"].startswith("ValueError at unit/test_observe.py:")
    assert "john.d" not in stream.getvalue()


def test_a_defect_is_described_without_personal_values() -> None:
    """An error is told by kind, place and cause; its message may quote a customer and stays out."""

    def read(row: dict[str, str]) -> str:
        return row["john.d@example.com"]

    def serve() -> None:
        try:
            read({})
        except KeyError as error:
            raise RuntimeError("john.d@example.com") from error

    with pytest.raises(RuntimeError) as caught:
        serve()
    said = observe.describe(caught.value)
    assert said.startswith("RuntimeError at unit/test_observe.py:")
    assert " in serve < unit/test_observe.py:" in said
    assert said.endswith("; caused by KeyError")
    assert "john.d" not in said


def test_an_error_that_was_never_raised_is_told_by_its_kind() -> None:
    """An error without a traceback is still told."""
    assert observe.describe(ValueError("x")) == "ValueError"


def test_a_defect_is_an_error() -> None:
    """A defect is written at every level that can be set."""
    stream = io.StringIO()
    observe.configure("error", stream)
    observe.emit(DefectFound(request_id="r-1", error="ValueError"))
    assert lines(stream)[0]["request_id"] == "r-1"


def test_every_observation_is_in_the_list() -> None:
    """No observation is missing from the list that the documentation is made of."""
    nouns = [import_module(f"retailos.observe.{each.name}") for each in iter_modules(observe.__path__)]
    found = {kind for noun in nouns for kind in vars(noun).values() if isinstance(kind, type)}
    kinds = {kind for kind in found if issubclass(kind, observe.Observation)}
    assert kinds - {observe.Observation} == set(OBSERVATIONS)
