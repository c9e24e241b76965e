"""Links to the files of issues: signed, so that they need no key, and good for some days."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from retailos.errors import LinkExpired, ResourceNotFound
from retailos.reports.file import FORMS

#: How the paths of these files begin; `<issue>/failures.<form>` follows.
ROOT: Final = "/v2/reports"
STEM: Final = "failures"


class Linked(NamedTuple):
    """What a link leads to."""

    issue_id: UUID
    form: str


def key_of(pepper: bytes) -> bytes:
    """The key that links are signed with, made of the installation's pepper and good for nothing else."""
    return hmac.digest(pepper, b"links to the files of reports", hashlib.sha256)


def links(key: bytes, issue_id: UUID, at: datetime, days: int) -> dict[str, str]:
    """The link to each form of an issue's file, without the server's address; the same whenever it is made."""
    expires = int(expiry(at, days).timestamp())
    return {form: _signed(key, f"{ROOT}/{issue_id}/{STEM}.{form}?expires={expires}") for form in FORMS}


def expiry(at: datetime, days: int) -> datetime:
    """Until when the links of an issue of that moment are good."""
    return (at + timedelta(days=days)).replace(microsecond=0)


def opened(key: bytes, path: str, query: str, now: datetime) -> Linked:
    """What a link leads to; ResourceNotFound where it was not made here, LinkExpired where its time is over."""
    target, _, signature = query.rpartition("&signature=")
    expected = _signature(key, f"{path}?{target}")
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise ResourceNotFound("There is no such file; follow a link as it stands in a report's mail.")
    if now.timestamp() > int(target.removeprefix("expires=")):
        raise LinkExpired
    issue_id, name = path.removeprefix(f"{ROOT}/").split("/")
    return Linked(UUID(issue_id), name.rpartition(".")[2])


def _signed(key: bytes, target: str) -> str:
    return f"{target}&signature={_signature(key, target)}"


def _signature(key: bytes, target: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, target.encode(), hashlib.sha256)).rstrip(b"=").decode()
