"""`python -m tests.mutants`: takes rules away from a copy of the program, one by one, and sees a test turn red each."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
COPIED: Final = ("src", "tests", "conformance", "pyproject.toml", "Makefile")
REGISTER: Final = "src/retailos/deliveries/register.sql"
LIMIT_SECONDS: Final = 180
#: What pytest says when a test has failed, as opposed to when it could not be run.
RED: Final = re.compile(r"^FAILED ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A rule that is taken away: a text of a file that is replaced wherever it stands, and the test that misses it."""

    name: str
    path: str
    old: str
    new: str
    test: str


MUTANTS: Final = (
    Mutant(
        name="whoever comes last settles, whether or not it holds the claim",
        path=REGISTER,
        old="delivery.record_id = given.record_id and delivery.token = given.token",
        new="delivery.record_id = given.record_id",
        test="tests/store/test_register.py::test_a_settlement_without_its_claim_does_nothing",
    ),
    Mutant(
        name="a change is sent while an older version is under way",
        path="src/retailos/records/sql.py",
        old="status = case when d.status = 'sending' or {waits} then d.status else 'owed' end",
        new="status = 'owed', token = null, worker_id = null",
        test="tests/contract/test_deliveries.py::test_a_change_during_a_request_is_sent_after_it",
    ),
    Mutant(
        name="a lease does not run out",
        path=REGISTER,
        old="delete from worker where lease_until <= now() or id = $1",
        new="delete from worker where id = $1",
        test="tests/store/test_register.py::test_what_a_dead_worker_had_claimed_is_rescued",
    ),
    Mutant(
        name="a claim is made under a lease that has run out",
        path=REGISTER,
        old="select id from worker where id = $4 and lease_until > now() for key share",
        new="select id from worker where id = $4 for key share",
        test="tests/store/test_register.py::test_a_lease_that_ran_out_claims_and_renews_nothing",
    ),
    Mutant(
        name="whoever writes is answered before the commit",
        path="src/retailos/records/writer.py",
        old="                    results = await self._write_alone(connection, batch)\n",
        new="                    async with connection.transaction():\n"
        "                        results = await self._write_alone(connection, batch)\n"
        "                        for each in batch:\n"
        "                            self._answer(each, results.get(each.upsert.job_id))\n",
        test="tests/store/test_writer.py::test_what_can_not_be_committed_is_not_acknowledged",
    ),
    Mutant(
        name="a delivery is done when a request succeeds, whatever is wanted by then",
        path=REGISTER,
        old="delivery.wanted > given.version",
        new="false",
        test="tests/store/test_register.py::test_a_write_between_claim_and_settlement_is_owed",
    ),
    Mutant(
        name="what was in doubt is not confirmed",
        path=REGISTER,
        old="and delivery.doubt_until is not null then 'confirming'",
        new="and false then 'confirming'",
        test="tests/store/test_owed_again.py::test_what_was_in_doubt_is_confirmed",
    ),
    Mutant(
        name="what was in doubt is confirmed at once",
        path=REGISTER,
        old="when 'confirming' then doubt_until",
        new="when 'confirming' then now()",
        test="tests/store/test_owed_again.py::test_what_was_in_doubt_is_confirmed",
    ),
    Mutant(
        name="what a dead worker had in flight is not in doubt",
        path=REGISTER,
        old="doubt_until = now() + interval '1 second' * ($2",
        new="doubt_until = null + interval '1 second' * ($2",
        test="tests/store/test_register.py::test_what_a_dead_worker_had_claimed_is_rescued",
    ),
)


def main() -> int:
    """Run every mutant, or those whose names hold one of the words given; 0 if each turned its test red."""
    words = sys.argv[1:]
    left = [each for each in MUTANTS if not words or any(word in each.name for word in words)]
    return 1 if run(left) else 0


def run(mutants: Iterable[Mutant]) -> list[Mutant]:
    """Run these, say what came of each, and give those that nothing missed."""
    unseen = []
    for each in mutants:
        said = outcome(each)
        missed = bool(RED.search(said))
        print(f"{'red  ' if missed else 'GREEN'}  {each.name}\n       {each.test}", flush=True)
        if not missed:
            print(said)
            unseen.append(each)
    return unseen


def outcome(mutant: Mutant) -> str:
    """What pytest says of the test of a mutant, in a copy of the program."""
    with tempfile.TemporaryDirectory(prefix="retailos-mutant-") as directory:
        copy = Path(directory)
        for name in COPIED:
            made = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            made(ROOT / name, copy / name)
        file = copy / mutant.path
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        command = (sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", mutant.test)
        environment = os.environ | {"PYTHONPATH": f"{copy / 'src'}", "PYTHONDONTWRITEBYTECODE": "1"}
        ended = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS
        )
        return ended.stdout[-2_000:]


if __name__ == "__main__":
    sys.exit(main())
