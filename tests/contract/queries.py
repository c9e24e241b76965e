"""Hostile queries and paths as tables: parameters, filters and ids that must be refused."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from retailos.declare.finders import During
from retailos.declare.resource import Resource, Resources
from retailos.declare.texts import Telephone, Text
from retailos.records.query import filterable
from tests.contract.hostile import Attack, listed

#: Refused in the query of every route.
QUERIES: Final = (
    Attack(name="an unknown parameter", query="frobnicate=1", code="UNKNOWN_PARAMETER"),
    Attack(name="an unknown parameter without value", query="frobnicate", code="UNKNOWN_PARAMETER"),
    Attack(name="a parameter twice", query="limit=1&limit=1", code="VALIDATION_ERROR"),
    Attack(name="51 parameters", query="&".join(f"p{i}=1" for i in range(51)), code="VALIDATION_ERROR"),
    Attack(name="a thousand parameters", query="&".join(f"p{i}=1" for i in range(800)), code="VALIDATION_ERROR"),
    Attack(name="no UTF-8", query="x=%FF", code="VALIDATION_ERROR"),
    Attack(name="a surrogate", query="x=%ED%A0%80", code="VALIDATION_ERROR"),
    Attack(name="NUL", query="x=%00", code="VALIDATION_ERROR"),
    Attack(name="NUL in a name", query="x%00=1", code="VALIDATION_ERROR"),
    Attack(name="a prototype", query="__proto__[x]=1", code="UNKNOWN_PARAMETER"),
    Attack(name="a URL of 9 kB", query="x=" + "y" * 9_000, status=414, code="URI_TOO_LONG"),
)

#: Refused as an id in a path, as it is sent.
PATH_IDS: Final = (
    *listed(".|..|%2E|%2e%2E|%00|a%00b|%0A|a%0D%0Ab|%7F|%C2%85|%FF|%C0%AF|%ED%A0%80"),
    *("x" * 256, "%F0%9F%98%80" * 256),
)

_FIELDS: Final = ",".join(f"x{i}" for i in range(1000))
#: What each parameter of a list refuses.
_LISTS: Final = MappingProxyType(
    {
        "limit": "-1|501|abc|100000000000000000000|1.5||%2B1|%EF%BC%91|0x10|1e2|%201|null|1,2",
        "offset": "-1|abc|99999999999999999999||1.0",
        "sort": "|-|--id|password|id,|id,id|-id,id|details|id%20desc|id;drop|%2Bid|1|createdAt,,id|version",
        "fields": f"|password|id,|details.a|*|id%00x|{_FIELDS}",
        "expand": "|password|id|details|__proto__",
        "withCount": "|1|TRUE|yes|null",
        "includeDeleted": "|1|maybe",
        "id": "|1|Kanarienvogel|0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6g|x&id=y",
        "createdAt[gte]": "|Kanarienvogel|2020-01-01|99999-01-01T00:00:00Z",
        "id[in]": ",".join(["0"] * 501),
    }
)
_NO_PARAMETERS: Final = listed(
    "Limit|limt|limit[gt]|q[gt]|sort[]|fields[]|page|password|details|details.a|version|body|external_id|near[x]"
    "|id[|id[]|id[foo]|id[in|id]|id[in]x|id[[in]]|id[IN]|id.x|id[startsWith][in]|lastname[startswith]"
)

#: Refused in the query of every list.
LISTS: Final = (
    *(
        Attack(name=f"{name}={text}"[:60], query=f"{name}={text}", code="VALIDATION_ERROR")
        for name, texts in _LISTS.items()
        for text in listed(texts)
    ),
    *(
        Attack(name=f"offset={number}", query=f"offset={number}", code="OFFSET_TOO_LARGE")
        for number in (10_001, 2**63, 10**19 - 1)
    ),
    *(Attack(name=name, query=f"{name}=1", code="UNKNOWN_PARAMETER") for name in _NO_PARAMETERS),
    Attack(name="limit twice", query="limit=1&limit=2", code="VALIDATION_ERROR"),
)

_WRONG_TEXTS: Final = MappingProxyType(
    {
        "uuid": "|1|Kanarienvogel|{0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f}|0190c2a47b1e7c3a9d523f1b2c4d5e6f",
        "boolean": "|1|TRUE|yes|null",
        "numeric": f"|Kanarienvogel|NaN|sNaN|Infinity|1e400|1e-20000|1_0|%EF%BC%91|1%20|{'9' * 50}",
        "numeric(16,4)": "|Kanarienvogel|NaN|Infinity|1e400|1_0|%EF%BC%91|1%20|1.23456|1234567890123",
        "date": "|1990-06-09|31/02/1990|1/1/1990|01/01/99999|Kanarienvogel",
        "timestamptz": "|2020-01-01|2020-01-01T00:00:00|99999-01-01T00:00:00Z|now|Kanarienvogel",
    }
)
_PLACES: Final = listed("|1|1,2|1,2,3,4|91,0,1|0,181,1|0,0,0|0,0,-1|0,0,99999|a,b,c|NaN,0,1|sNaN,0,1")


def wrong_filters(resources: Resources, resource: Resource) -> Iterator[Attack]:
    """Filters of a resource whose value is of another kind, or whose operator says nothing about it."""
    for path, kind in filterable(resources, resource).items():
        related = resource.finder(path) is not None or path.partition(".")[0] in resource.reference
        for text in listed(_WRONG_TEXTS[kind.sql_type]) if kind.sql_type in _WRONG_TEXTS else ():
            yield _filter(f"{path}={text}")
            yield _filter(f"{path}[in]={text},{text}")
        for text in listed("|abc|%2B|00|(00)%20-|%D9%A4") if isinstance(kind, Telephone) else ():
            for operator in ("", "[in]", "[ne]", "[startsWith]"):
                yield _filter(f"{path}{operator}={text}")
        yield _filter(f"{path}[isNull]=maybe")
        yield _filter(f"{path}[in]={','.join(['0'] * 501)}")
        yield _filter(f"{path}[frobnicate]=1", "UNKNOWN_PARAMETER")
        for operator in ("gt", "gte", "lt", "lte", "startsWith"):
            if related or kind.sql_type == "boolean" or (operator == "startsWith" and not isinstance(kind, Text)):
                yield _filter(f"{path}[{operator}]=true")
        if isinstance(resource.finder(path), During):
            for text in ("", "2020-01-01", "now", "Kanarienvogel"):
                yield _filter(f"{path}={text}")
    for place in _PLACES:
        yield _filter(f"near={place}", "VALIDATION_ERROR" if resource.place else "UNKNOWN_PARAMETER")


def _filter(query: str, code: str = "VALIDATION_ERROR") -> Attack:
    return Attack(name=query[:60], query=query, code=code)


#: Refused in the query of the list of deliveries.
DELIVERIES: Final = tuple(
    Attack(name=query[:60], query=query)
    for query in listed(
        f"webhook=|webhook=abc|webhook=-1|webhook=1.5|webhook={2**31}|webhook={2**63}|webhook={10**30}|webhook=%EF%BC%91"
        "|status=|status=FAILED|status=frobnicated|status=failed,owed|status='|limit=-1|limit=501|limit=abc"
        f"|limit={10**20}|offset=-1|offset=10001|offset={2**63}|offset=abc|withCount=1|externalId=%00|externalId=%FF"
        "|errorClass=|errorClass=nonsense|resource=|resource=nonsense|since=yesterday|since=|until=2026-13-01T00:00:00Z"
        "|sort=id|status[in]=failed|webhook=1&webhook=1|id=1"
    )
)
