"""The checker of the fault tests sees what it is there to see, and excuses duplicates only."""

from dataclasses import replace

import pytest

from retailos.receiver import Sighting
from tests.reliability.checker import Findings, Register, Stored, Told, check

A, B = "/a", "/b"
STORED = Stored("c-1", 3, b"third")
RESTING = Register(webhook=A, record="c-1", wanted=3, acknowledged=3, status="delivered", claimed=False, due=False)
BODIES = {1: b"first", 2: b"second", 3: b"third"}


def seen(*versions: int, webhook: str = A, status: int = 200) -> list[Sighting]:
    """What a receiver accepted of the record, in this order."""
    return [
        Sighting(webhook=webhook, record="c-1", version=each, body_hash=BODIES[each], status=status, at=float(at))
        for at, each in enumerate(versions)
    ]


def judged(sightings: list[Sighting], *, register: Register | None = RESTING, told: int = 3) -> Findings:
    """What the checker finds of one webhook and one record."""
    registers = [register] if register else []
    return check([A], told=[Told("c-1", told)], stored=[STORED], registers=registers, sightings=sightings)


def counts(findings: Findings) -> dict[str, int]:
    """The kinds of faults that were found, and how often."""
    kinds = ("missing", "lost", "stale", "backward", "stuck", "contradictory")
    return {kind: len(getattr(findings, kind)) for kind in kinds if getattr(findings, kind)}


@pytest.mark.parametrize("versions", [(1, 2, 3), (3,), (1, 3)])
def test_a_receiver_that_ends_on_the_newest_version_is_well(versions: tuple[int, ...]) -> None:
    """A receiver need not see every version, only the last one last."""
    findings = judged(seen(*versions))
    assert (findings.faults, findings.duplicates) == (0, 0)


def test_an_acknowledged_write_that_the_database_forgot_is_missing() -> None:
    """A client was told of version 4, and the database has version 3."""
    assert counts(judged(seen(3), told=4)) == {"missing": 1}


def test_an_acknowledged_record_that_the_database_does_not_have_is_missing() -> None:
    """A client was told of a record, and there is none."""
    findings = check([A], told=[Told("c-9", 1)], stored=[], registers=[], sightings=[])
    assert counts(findings) == {"missing": 1}


def test_two_writes_that_were_told_of_the_same_version_are_one_too_many() -> None:
    """A write that was forgotten is missed even where another one took its version."""
    told = [Told("c-1", 3), Told("c-1", 3)]
    findings = check([A], told=told, stored=[STORED], registers=[RESTING], sightings=seen(3))
    assert counts(findings) == {"missing": 1}


def test_a_record_that_a_webhook_was_never_told_of_is_lost() -> None:
    """One of two webhooks got the record, and the other one did not."""
    registers = [RESTING, replace(RESTING, webhook=B)]
    findings = check([A, B], told=[], stored=[STORED], registers=registers, sightings=seen(3))
    assert counts(findings) == {"lost": 1}
    assert findings.lost == ("/b never got c-1",)


def test_a_record_that_was_refused_every_time_is_lost() -> None:
    """What the receiver did not answer with 2xx, it did not accept."""
    assert counts(judged(seen(1, 2, 3, status=503))) == {"lost": 1}


def test_a_receiver_that_ends_on_an_older_version_is_stale() -> None:
    """The register says version 3, and the receiver has version 2."""
    assert counts(judged(seen(1, 2))) == {"stale": 1}


def test_a_receiver_that_ends_on_another_body_is_stale() -> None:
    """The version is right and the content is not."""
    assert counts(judged([seen(3)[0]._replace(body_hash=b"another")])) == {"stale": 1}


def test_an_older_version_after_a_newer_one_is_backward() -> None:
    """Versions at a receiver never go back, even where the newest comes again afterwards."""
    findings = judged(seen(1, 3, 2, 3))
    assert counts(findings) == {"backward": 1}
    assert findings.backward == ("/a got v2 of c-1 1000.0 ms after v3",)


def test_an_older_version_at_the_end_is_backward_and_stale() -> None:
    """What arrives last is what the receiver has."""
    assert counts(judged(seen(3, 2))) == {"stale": 1, "backward": 1}


@pytest.mark.parametrize(
    "register",
    [
        replace(RESTING, acknowledged=2, status="owed"),
        replace(RESTING, acknowledged=2, status="owed", due=True),
        replace(RESTING, status="sending", claimed=True),
        replace(RESTING, status="failed", acknowledged=2, due=True),
        replace(RESTING, due=True),
        replace(RESTING, wanted=2, acknowledged=2),
        None,
    ],
)
def test_a_register_that_is_not_at_rest_is_stuck(register: Register | None) -> None:
    """Whatever is owed, claimed, due, failed or was never written down at the end is stuck."""
    assert counts(judged(seen(3), register=register)) == {"stuck": 1}


def test_one_version_with_two_bodies_is_contradictory() -> None:
    """What a version says is the same for every webhook."""
    other = seen(2, 3, webhook=B)
    other[0] = other[0]._replace(body_hash=b"another")
    registers = [RESTING, replace(RESTING, webhook=B)]
    findings = check([A, B], told=[], stored=[STORED], registers=registers, sightings=[*seen(2, 3), *other])
    assert counts(findings) == {"contradictory": 1}


def test_the_same_version_again_is_a_duplicate_and_no_fault() -> None:
    """After a crash a version may come again, and each time is counted."""
    findings = judged(seen(1, 1, 2, 3, 3, 3))
    assert (findings.faults, findings.duplicates) == (0, 3)


def test_the_report_counts_each_kind_and_quotes_some() -> None:
    """Whoever reads a failure sees how much is wrong, and examples of it."""
    report = judged(seen(3, 2)).report()
    assert report.startswith("missing 0, lost 0, stale 1, backward 1, stuck 0, contradictory 0, duplicates 0")
    assert "/a ends on v2 of c-1, the database on v3" in report
