"""A body is cut into its records without being read, or not at all."""

import pytest

from retailos.records.resent import SAMPLE, cut
from retailos.resources.customer import CUSTOMER

RECORDS = [b'{"externalCustomerId":"c-%d"}' % i for i in range(SAMPLE)]


@pytest.mark.parametrize(
    ("opening", "between", "closing"),
    [
        (b'{"customers":[', b",", b"]}"),
        (b' { "customers" : [ ', b" , ", b" ] } \n"),
        (b'{"customers": [\n  ', b",\n  ", b"\n]}"),
    ],
)
def test_what_is_evenly_spaced_is_cut(opening: bytes, between: bytes, closing: bytes) -> None:
    """Each record is given as it stands there, in whatever way a program writes its JSON."""
    assert [bytes(each) for each in cut(CUSTOMER, opening + between.join(RECORDS) + closing)] == RECORDS


@pytest.mark.parametrize(
    "body",
    [
        b'{"customers":[%(all)s],"customers":[%(all)s]}',
        b'{"customers":[],"customers":[%(all)s]}',
        b'{"customers":[%(all)s],"stores":[]}',
        b'{"customers":[%(all)s]} x',
        b'{"customers":[%(all)s ,{}]}',
        b'{"customers":[%(all)s],}',
        b'{"stores":[%(all)s]}',
        b'[{"customers":[%(all)s]}]',
        b'{"customers":[{}]}',
        b'{"customers":{}}',
        b"",
        b"{",
    ],
)
def test_what_is_not_evenly_spaced_is_not_cut(body: bytes) -> None:
    """What is more, less or other than one array of many records is left to be read, also where a name comes twice."""
    assert len(cut(CUSTOMER, body.replace(b"%(all)s", b",".join(RECORDS)))) == 0
