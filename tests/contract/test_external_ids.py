"""External ids are opaque: whatever characters one has, it is one segment of a URL, and one record that it leads to."""

from collections.abc import Sequence
from urllib.parse import quote

from retailos.declare.resource import Resource
from retailos.declare.sample import external_id
from retailos.resources import RESOURCES
from tests.contract.conftest import EACH_RESOURCE, VARIED_RESOURCES, Api, ground, least
from tests.contract.hostile import listed

#: Some id that no record has.
NOBODY = "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"

EXTERNAL_IDS: Sequence[str] = (
    *listed("a/b|a%2Fb|a%252Fb|/|//|a b| a |a+b|+|{}|{externalCustomerId}|😀|é|e\u0301|john.d@example.com"),
    *listed("John.D@example.com|...|.a|a?b|a#b|a&b=c|a;b|a\\b|'|\"|<b>|\u202eevil|a\u200bb|null|undefined|0|-1|id"),
    *listed(f"external|%|%zz|{'x' * 255}|{'😀' * 255}|{NOBODY}|=1+1|\ufffe|customers|${{7*7}}"),
)
#: What separates values, and what takes that meaning from it, at every place of a value.
SEPARATING: Sequence[str] = ("a,b", ",", "c,", r"c\,", "c\\", r"d\,e", r"\\", r"f\g")


def one_of(values: Sequence[str]) -> str:
    """Values as `[in]` takes them: a comma within one, and a backslash, stand behind a backslash."""
    return quote(",".join(each.replace("\\", "\\\\").replace(",", "\\,") for each in values), safe="")


@VARIED_RESOURCES
async def test_any_external_id_is_an_address(shop: Api, resource: Resource) -> None:
    """An external id of any characters but controls is one segment of a URL, and one record that it leads to."""
    await ground(shop, resource, *range(1000, 1000 + len(EXTERNAL_IDS)))
    for i, each in enumerate(EXTERNAL_IDS):
        segment = quote(each, safe="")
        body = least(resource, 1000 + i)
        put = await shop.put(f"/{resource.collection}/{segment}", body | {resource.external_id.name: each})
        assert put.status == 200, (each, put.body)
        assert put.result[0]["outcome"] == "created", each
        assert put.result[0]["externalId"] == each
        got = await shop.get(f"/{resource.collection}/external/{segment}")
        assert got.result[resource.external_id.name] == each
        assert got.result["id"] == put.result[0]["resourceId"]
        assert (await shop.get(f"/{resource.collection}/{segment}")).result["id"] == got.result["id"]
        found = await shop.get(f"/{resource.collection}?{resource.external_id.name}={segment}")
        assert [row["id"] for row in found.result["rows"]] == [got.result["id"]]
    assert external_id(resource, 1).startswith(resource.name)


@EACH_RESOURCE
async def test_an_external_id_with_a_comma_is_one_of_several(shop: Api, resource: Resource) -> None:
    """`[in]` names records whatever their external ids hold, of the resource itself and of those it refers to."""
    first = 2000 + 100 * list(RESOURCES).index(resource.name)
    numbers = range(first, first + len(SEPARATING))
    await ground(shop, resource, *numbers)
    path, key = f"/{resource.collection}", resource.external_id.name
    for number, each in zip(numbers, SEPARATING, strict=True):
        put = await shop.put(f"{path}/{quote(each, safe='')}", least(resource, number))
        assert put.status == 200, (each, put.body)
    for some in (SEPARATING, SEPARATING[:1], SEPARATING[3:5]):
        found = await shop.get(f"{path}?{key}[in]={one_of(['nobody', *some])}&fields={key}")
        assert {row[key] for row in found.result["rows"]} == set(some)
    unescaped = await shop.get(f"{path}?{key}[in]=a,b")
    assert unescaped.result["rows"] == []


async def test_a_record_is_found_by_the_external_ids_of_another_with_commas(shop: Api) -> None:
    """`[in]` names related records whatever their external ids hold."""
    for i, each in enumerate(SEPARATING):
        assert (await shop.put(f"/stores/{quote(each, safe='')}", {"name": "S"})).status == 200
        body = {"firstName": "Ada", "registeredAt": {"externalStoreId": each}}
        assert (await shop.put(f"/customers/at-{i}", body)).status == 200
    query = f"registeredAt.externalStoreId[in]={one_of(SEPARATING[:3])}&fields=externalCustomerId"
    found = (await shop.get(f"/customers?{query}")).result["rows"]
    assert {row["externalCustomerId"] for row in found} == {"at-0", "at-1", "at-2"}
