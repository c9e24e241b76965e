"""`python -m conformance`: meets a sender with receivers that misbehave, and prints what it makes of each."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from conformance.behaviours import every
from conformance.judge import Told
from conformance.retailos import started
from conformance.sender import Commands
from conformance.suite import Patience, Result, run

ABOUT = """\
Meets a sender of webhooks with receivers that misbehave, and judges what it makes of them by what comes on the wire.

Without --point, RetailOS is started and measured. Any other sender is driven by two commands. It should have a timeout
of --timeout seconds for a request, and retry every second or so, without end:

    python -m conformance --point 'curl -d url={url} http://127.0.0.1:9000/webhooks' \\
                          --write 'curl -X POST http://127.0.0.1:9000/change'
"""


def main() -> int:
    """Run it; 0 if nothing was missed."""
    given = _arguments()
    results = asyncio.run(_run(given))
    print(table(results))
    return 1 if any(each.misses for each in results) else 0


async def _run(given: argparse.Namespace) -> Sequence[Result]:
    wanted = [each for each in every() if not given.only or given.only in each.name]
    told, patience = Told(timeout=given.timeout), Patience(most=given.most, quiet=given.quiet)
    if given.point:
        return await run(wanted, Commands(given.point, given.write), told, patience)
    async with started(given.timeout) as sender:
        return await run(wanted, sender, told, patience)


def table(results: Sequence[Result]) -> str:
    """The verdicts, a line for each behaviour."""
    wide = max((len(each.behaviour.name) for each in results), default=0)
    lines = [
        f"{'miss' if each.misses else 'ok':4}  {each.behaviour.name:{wide}}  {'; '.join(each.misses) or _said(each)}"
        for each in results
    ]
    missed = sum(bool(each.misses) for each in results)
    return "\n".join([*lines, "", f"{len(results) - missed} of {len(results)} behaviours are met as they should be"])


def _said(result: Result) -> str:
    return f"{result.behaviour.should} ({result.requests} requests)"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("conformance", None, ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--point", metavar="COMMAND", help="has the sender tell {url} of changes, under {name}")
    parser.add_argument("--write", metavar="COMMAND", help="changes one record")
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds that the sender gives a request")
    parser.add_argument("--most", type=float, default=30.0, help="seconds to wait for what should come")
    parser.add_argument("--quiet", type=float, default=5.0, help="seconds to wait for what should not come")
    parser.add_argument("--only", metavar="TEXT", help="only the behaviours with this in their names")
    given = parser.parse_args()
    if bool(given.point) != bool(given.write):
        parser.error("--point and --write go together")
    return given


if __name__ == "__main__":
    sys.exit(main())
