"""Of what was read under claims, what goes out and what need not: by filter, by watched fields, and by echo."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from retailos import observe
from retailos.deliveries import seen
from retailos.deliveries.claim import DOUBTFUL, LEFT, RETURNING, Claim
from retailos.deliveries.outcome import Blame, Delivered, Failed, Outcome, Skipped, Why
from retailos.deliveries.settlement import Settlement
from retailos.exchanges.exchange import ErrorClass
from retailos.sending.request import Item, Told
from retailos.sending.sift import needless, sift
from retailos.webhooks.webhook import Webhook

ID, ONE, OTHER = UUID(int=7), UUID(int=8), UUID(int=9)


def claim(acknowledged: int = 0, told: UUID | None = None, **more: Any) -> Claim:
    """A claim of a record of which this was told, up to this version."""
    return Claim(ID, ID, 1, acknowledged, told=told, **more)


def record(**more: Any) -> Told:
    """A record in its ninth version."""
    return Told(id=ID, external_id="c-1", version=9, operation="update", json="{}", **more)


@pytest.mark.parametrize(
    ("held", "read", "why"),
    [
        (claim(), record(), None),
        (claim(3), record(), None),
        # Filtered: who has it, or may have it, is told that it left, once.
        (claim(), record(matches=False), Why.FILTERED),
        (claim(told=DOUBTFUL), record(matches=False), None),
        (claim(3), record(matches=False), None),
        (claim(3, ONE), record(matches=False, digest=ONE), None),
        (claim(3, LEFT), record(matches=False), Why.FILTERED),
        (claim(3, LEFT, again=True), record(matches=False), Why.FILTERED),
        (claim(3, LEFT), record(digest=ONE), None),
        (claim(3, RETURNING), record(matches=False), None),
        # Watched: only what is known to be as it was is left out.
        (claim(3, ONE), record(digest=ONE), Why.UNCHANGED),
        (claim(3, ONE), record(digest=OTHER), None),
        (claim(3, DOUBTFUL), record(digest=ONE), None),
        (claim(3), record(digest=ONE), None),
        (claim(3, ONE, again=True), record(digest=ONE), None),
        # Echo: only where the receiver has what was before.
        (claim(3), record(echoed=True), Why.ECHO),
        (claim(), record(echoed=True), Why.ECHO),
        (claim(3, LEFT), record(echoed=True), None),
        (claim(3, RETURNING), record(echoed=True), None),
        (claim(3, again=True), record(echoed=True), None),
        # Nothing of its own changed: what it shows of others is no echo.
        (claim(9, ONE), record(echoed=True, digest=OTHER), None),
        (claim(3, ONE), record(echoed=True, digest=OTHER), Why.ECHO),
    ],
)
def test_what_need_not_be_sent(held: Claim, read: Told, why: Why | None) -> None:
    """A record goes out unless its receiver is not concerned, or has what it would be told."""
    outcome = needless(held, read)
    assert (outcome and outcome.why) == why
    assert outcome is None or outcome.acknowledged is (why is not Why.FILTERED)


def test_what_is_told_is_remembered() -> None:
    """What goes out carries what its receiver will have been told then: a digest, or that it left."""
    items = [
        Item(claim(3, ONE), record(digest=OTHER)),
        Item(claim(3, ONE), record(digest=ONE)),
        Item(claim(3), record(matches=False, digest=ONE)),
        Item(claim(3), record()),
    ]
    going, skipped = sift(items)
    assert [each.claim.tells for each in going] == [OTHER, LEFT, None]
    assert [(each.claim.tells, each.version, each.reply) for each in skipped] == [(ONE, 9, None)]


def test_an_echo_leaves_open_what_is_known_of_others() -> None:
    """Who sent a record did not send what it shows of others."""
    items = [Item(claim(3, ONE), record(echoed=True, digest=OTHER))]
    assert [each.claim.tells for each in sift(items, marks=True)[1]] == [DOUBTFUL]
    assert [each.claim.tells for each in sift(items)[1]] == [OTHER]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the program says, whatever its level; the loggers are put back."""
    names = ("", "retailos", "retailos.frequent")
    before = {name: (logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in names}
    stream = io.StringIO()
    observe.configure("debug", stream)
    yield stream
    for name, (level, handlers) in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers[:] = handlers


FAILED = Failed(error_class=ErrorClass.HTTP_4XX, blame=Blame.RECORD)


@pytest.mark.parametrize(
    ("settings", "outcome", "said"),
    [
        ({}, Delivered(), ["AttemptSettled"]),
        ({}, Skipped(acknowledged=True, why=Why.ECHO), ["DeliverySkipped"]),
        ({}, FAILED, ["AttemptSettled"]),
        ({"onExhausted": "skip"}, FAILED, ["AttemptSettled"]),
        ({"sends": "every"}, FAILED, ["AttemptSettled"]),
        ({"sends": "every", "onExhausted": "skip"}, FAILED, ["ChangePassedOver", "AttemptSettled"]),
    ],
)
def test_what_becomes_of_a_claim_is_said(
    lines: io.StringIO, settings: dict[str, Any], outcome: Outcome, said: list[str]
) -> None:
    """Each settlement is one line, what was skipped with its reason; a change that is passed over is a warning."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    webhook = Webhook.of(
        id=3,
        name="erp",
        resource="customer",
        settings={"url": "https://erp.example.com"} | settings,
        active=True,
        created_at=now,
        updated_at=now,
    )
    seen.observe(webhook, Settlement(claim=claim(), version=9, outcome=outcome))
    written = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["event"] for line in written] == said
    assert {line["delivery"] for line in written} == {f"3-{ID}"}
    assert [line["why"] for line in written if "why" in line] == (["echo"] if said == ["DeliverySkipped"] else [])
