"""`python -m tests.mutants`: takes rules away from a copy of the program, one by one, and sees a test turn red each."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.mutations import MUTANTS, Mutant

ROOT: Final = Path(__file__).resolve().parents[1]
COPIED: Final = ("src", "tests", "conformance", "pyproject.toml", "Makefile")
LIMIT_SECONDS: Final = 180
#: What pytest says when a test has failed, as opposed to when it could not be run.
RED: Final = re.compile(r"^FAILED ", re.MULTILINE)


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
