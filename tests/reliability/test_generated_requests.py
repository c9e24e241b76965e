"""R13: requests made up from the documents, good and bad, find no defect and nothing that the documents do not say."""

import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import pytest

from retailos.resources import RESOURCES
from retailos.secrets import new_key
from retailos.settings import load
from tests.child import spawn
from tests.contract.conftest import Api, serving
from tests.reliability import stand

SCHEMATHESIS: Final = Path(sys.executable).with_name("schemathesis")
#: What is not asked: whether all that fits a schema is taken, since references must exist and external ids be free;
#: whether another method is told so before a header that is none; whether a bulk request with a bad record is
#: refused, since that record fails alone; whether a revoked key or a cancelled operation is gone, since both are
#: still shown; and whether a webhook that was just added can be tried, since there may be no record to try it with.
SETTINGS: Final = """
[checks]
positive_data_acceptance.enabled = false
unsupported_method.enabled = false
[[operations]]
include-operation-id-regex = "UpsertMany$"
checks.negative_data_rejection.enabled = false
[[operations]]
include-operation-id-regex = "^webhook(Test|Trigger|Explain)$"
checks.ensure_resource_availability.enabled = false
[[operations]]
include-operation-id-regex = "^(key|operation)[A-Z]"
checks.use_after_free.enabled = false
"""
#: Whoever asks the change feed to wait may be answered after 30 s.
LONGEST_ANSWER_SECONDS: Final = 45
#: How many kinds of operation a quick run asks of a second resource too.
OTHERS: Final = 3
#: Of what is no resource, a quick run asks all operations of some nouns, so many at the least.
NOUNS_LEAST: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """How much is asked: requests of each phase for an operation, and whether of all operations or of a sample."""

    examples: int
    whole: bool


#: `RETAILOS_TIER=long` is what R13 asks for; the quick tier fits into the minutes that all tests may take.
TIERS: Final = {"quick": Tier(examples=10, whole=False), "long": Tier(examples=500, whole=True)}


def tier() -> Tier:
    """The tier of this run: quick unless RETAILOS_TIER says long."""
    return TIERS[os.environ.get("RETAILOS_TIER") or "quick"]


def operation_ids(made: dict[str, Any]) -> list[str]:
    """The names of a document's operations."""
    return [operation["operationId"] for item in made["paths"].values() for operation in item.values()]


def sampled(names: list[str], random: Random) -> Iterator[str]:
    """Every operation of one resource, some kinds of operation of others too, and every one of some other nouns."""
    kinds: defaultdict[str, dict[str, str]] = defaultdict(dict)
    nouns: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        resource = max((each for each in RESOURCES if re.match(rf"{each}[A-Z]", name)), key=len, default="")
        if resource:
            kinds[name.removeprefix(resource)][resource] = name
        else:
            nouns[re.split("[A-Z]", name)[0]].append(name)
    yield from some_nouns(list(nouns.values()), random)
    if not kinds:
        return
    whole = random.choice(list(RESOURCES))
    yield from (by_resource[whole] for by_resource in kinds.values() if whole in by_resource)
    others = [[name for resource, name in kind.items() if resource != whole] for kind in kinds.values()]
    some = [each for each in others if each]
    yield from (random.choice(each) for each in random.sample(some, min(OTHERS, len(some))))


def some_nouns(nouns: list[list[str]], random: Random) -> list[str]:
    """The operations of as many nouns, in any order, as it takes to have enough."""
    chosen: list[str] = []
    for operations in random.sample(nouns, len(nouns)):
        if len(chosen) < NOUNS_LEAST:
            chosen += operations
    return chosen


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A directory for what the tool writes, with its settings."""
    (tmp_path / "settings.toml").write_text(SETTINGS)
    return tmp_path


async def asked(api: Api, scratch: Path, part: str, seed: int) -> dict[str, Any]:
    """Ask the API what its document says that it answers; what the tool reports, or a failure with what it says."""
    text = (await api.request("GET", f"/v2/{part}/openapi.json", key="")).body.decode()
    # A host that no name server knows would be looked up for seconds, again and again.
    (scratch / "openapi.json").write_text(text.replace("https://erp.example.com", api.url))
    # The tool makes up no files; hostile ones are sent elsewhere.
    names = [each for each in operation_ids(msgspec.json.decode(text)) if each != "importCreate"]
    chosen = names if tier().whole else list(sampled(names, Random(seed)))
    process = await spawn(
        *(SCHEMATHESIS, "--config-file", "settings.toml", "run", "openapi.json", "--url", api.url),
        *(
            "--header",
            f"Authorization: API_KEY {api.admin_key}",
            "--include-operation-id-regex",
            f"^({'|'.join(chosen)})$",
        ),
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(tier().examples)),
        *("--continue-on-failure", "--no-shrink", "--no-color", "--request-timeout", str(LONGEST_ANSWER_SECONDS)),
        *("--seed", str(seed), "--report", "json", "--report-json-path", "report.json"),
        cwd=scratch,
        stdout=PIPE,
        stderr=STDOUT,
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said[-20_000:]
    report: dict[str, Any] = msgspec.json.decode((scratch / "report.json").read_bytes())
    assert report["operations"]["tested"] == len(set(chosen))
    return report


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", ["public", "admin"])
async def test_no_request_finds_what_the_document_does_not_say(database: str, scratch: Path, part: str) -> None:
    """Whatever is sent, nothing ends in a 500, in a status that is not documented or in an answer of another shape."""
    seed = stand.seed()
    # Thousands of requests come with one key or without a good one, and what they are answered is looked for.
    named = {"allow_addresses": "127.0.0.0/8", "host": "127.0.0.1", "environment": "test"}
    unlimited = {"requests_per_second": 0, "failures_per_minute": 0}
    settings = load({}, None, **named, **unlimited, encryption_keys=new_key())
    async with serving(settings, database) as api:
        report = await asked(api, scratch, part, seed)
    cases = report["test_cases"]
    print(f"{report['operations']['tested']} operations, {cases['generated']} requests, {report['running_time']:.0f} s")
    assert report["complete"]
    assert cases["generated"] > 20 * report["operations"]["tested"]
    assert [phase for phase, told in report["phases"].items() if told["status"] != "success"] == []
