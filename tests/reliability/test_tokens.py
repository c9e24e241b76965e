"""A token host that is slow or silent: an attempt is no longer for it, and no one else's attempt pays for another's."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import pytest

from retailos.exchanges.exchange import ErrorClass
from retailos.receiver import Behaviour, Receiver
from retailos.sending.sender import LeaseOver, Sender, sender
from retailos.webhooks.webhook import Webhook
from tests.conftest import eventually, measured
from tests.reliability.outbound import LOOPBACK, put

NOW: Final = datetime.now(UTC)
TIMEOUT_SECONDS: Final = 1.0
#: More than half of the timeout: two such waits are longer than it is.
LONG_SECONDS: Final = 0.6
#: What a busy machine may add.
SLACK_SECONDS: Final = 0.4
TOKEN: Final = b'{"access_token": "t", "expires_in": 3600}'
HANG: Final = Behaviour(hang=True)
PROMPT: Final = Behaviour(body=TOKEN)
SLOW: Final = Behaviour(body=TOKEN, delay_seconds=LONG_SECONDS)
REFUSAL: Final = Behaviour(status=401)
SLOW_REFUSAL: Final = Behaviour(status=401, delay_seconds=LONG_SECONDS)


@asynccontextmanager
async def opened(
    tokens: Behaviour | Sequence[Behaviour], answers: Behaviour | Sequence[Behaviour]
) -> AsyncIterator[tuple[Sender, Receiver, Receiver]]:
    """What a webhook sends with that needs tokens, the host that gives them, and the receiver that asks for them."""
    async with Receiver.listen(behaviour=tokens) as host, Receiver.listen(behaviour=answers) as receiver:
        client = {"tokenUrl": f"{host.url}/token", "clientId": "us", "clientSecret": "s3cret"}
        asked = {"type": "oauth2", "scope": None, "audience": None, "authentication": "basic"}
        settings = {"url": receiver.url, "timeout": TIMEOUT_SECONDS, "credentials": client | asked}
        told = {"id": 1, "name": "erp", "resource": "customer", "active": True, "created_at": NOW, "updated_at": NOW}
        sending = sender(Webhook.of(settings=settings, **told), LOOPBACK)
        try:
            yield sending, host, receiver
        finally:
            sending.close()


@pytest.mark.parametrize(
    ("tokens", "answers", "error", "sent"),
    [
        (HANG, Behaviour(), ErrorClass.TOKEN_ERROR, False),
        (SLOW, HANG, ErrorClass.TIMEOUT, True),
        (PROMPT, [SLOW_REFUSAL, HANG], ErrorClass.TIMEOUT, True),
        ([PROMPT, HANG], [REFUSAL, Behaviour()], ErrorClass.TOKEN_ERROR, False),
        ([SLOW, SLOW], [REFUSAL, Behaviour()], ErrorClass.TOKEN_ERROR, False),
    ],
    ids=["no token", "late token", "late refusal", "no other token", "two late tokens"],
)
async def test_an_attempt_is_over_when_its_time_is(
    tokens: Behaviour | Sequence[Behaviour],
    answers: Behaviour | Sequence[Behaviour],
    error: ErrorClass,
    sent: bool,
) -> None:
    """One timeout covers the token, the request, another token after a 401, and the request once more."""

    async def attempt() -> None:
        async with opened(tokens, answers) as (sending, _, receiver):
            began = monotonic()
            reply = await sending.send(put(receiver.url, timeout_seconds=TIMEOUT_SECONDS))
            seconds = monotonic() - began
        assert (reply.error, reply.sent) == (error, sent)
        assert seconds == pytest.approx(TIMEOUT_SECONDS, abs=SLACK_SECONDS)
        assert reply.milliseconds == pytest.approx(1_000 * seconds, abs=100)

    await measured(attempt)


async def test_a_token_is_there_for_those_who_have_time_to_wait() -> None:
    """An attempt whose time is over takes no token from one who still waits: it is asked for once."""
    async with opened(SLOW, Behaviour()) as (sending, host, receiver):
        hasty = asyncio.create_task(sending.send(put(receiver.url, timeout_seconds=0.1)))
        patient = asyncio.create_task(sending.send(put(receiver.url)))
        assert (await hasty).error is ErrorClass.TOKEN_ERROR
        assert ((await patient).status, host.count, receiver.count) == (200, 1, 1)


@pytest.mark.parametrize(("holding", "answers"), [([], []), ([True], [REFUSAL])], ids=["first", "again"])
async def test_what_is_not_ours_any_more_is_not_sent(holding: list[bool], answers: list[Behaviour]) -> None:
    """Whether the claim holds is asked before each sending, also of the one with another token."""
    asked = iter([*holding, False])
    async with opened(SLOW, [*answers, Behaviour()]) as (sending, host, receiver):
        with pytest.raises(LeaseOver):
            await sending.send(put(receiver.url), lambda: next(asked))
        assert (host.count, receiver.count) == (1 + len(answers), len(answers))


async def test_a_token_that_nobody_waits_for_leaves_nothing_behind() -> None:
    """When a webhook is closed while its token is fetched, the fetching ends as well."""
    before = asyncio.all_tasks()
    async with opened(HANG, Behaviour()) as (sending, host, receiver):
        reply = await sending.send(put(receiver.url, timeout_seconds=0.1))
        assert (reply.error, host.count) == (ErrorClass.TOKEN_ERROR, 1)
        sending.close()
    await eventually(lambda: asyncio.all_tasks() <= before)
