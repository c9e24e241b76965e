"""Which of the records that were claimed and read go out, and which need not, since the receiver is not concerned."""

from collections.abc import Iterable
from uuid import UUID

from msgspec.structs import replace

from retailos.deliveries.claim import DOUBTFUL, LEFT, Claim
from retailos.deliveries.outcome import Skipped, Why
from retailos.deliveries.settlement import Settlement
from retailos.sending.request import Item, Told


def sift(items: Iterable[Item], *, marks: bool = False) -> tuple[list[Item], list[Settlement]]:
    """Part what goes out from what is settled without a request.

    Where the webhook `marks`, what came from its receiver leaves open what that knows of the records shown within.
    """
    going, skipped = [], []
    for item in items:
        claim = replace(item.claim, tells=_tells(item.record))
        outcome = needless(claim, item.record)
        if outcome is None:
            going.append(Item(claim, item.record))
        else:
            if marks and outcome.why is Why.ECHO:
                claim = replace(claim, tells=DOUBTFUL)
            skipped.append(Settlement(claim=claim, version=item.record.version, outcome=outcome))
    return going, skipped


def needless(claim: Claim, record: Told) -> Skipped | None:
    """Why a record need not be sent under a claim; None: it goes out.

    A receiver that has a record is told once that it is none of those that it is told of any more, so that its copy
    does not stay what it was; then it is not told of it until it is one of those again.
    """
    if not record.matches:
        return None if claim.known else Skipped(acknowledged=False, why=Why.FILTERED)
    if claim.again:
        return None
    if record.digest is not None and record.digest == claim.told:
        return Skipped(acknowledged=True, why=Why.UNCHANGED)
    if record.echoed and record.version > claim.acknowledged and not claim.left:
        return Skipped(acknowledged=True, why=Why.ECHO)
    return None


def _tells(record: Told) -> UUID | None:
    return record.digest if record.matches else LEFT
