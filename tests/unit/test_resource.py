"""A declaration is checked when it is built, and everything else about a resource follows from it."""

import pytest

from retailos.declare.checks import DeclarationError
from retailos.declare.derived import Inherited, Level
from retailos.declare.field import (
    CREATED_AT,
    DETAILS,
    RELATIONS,
    UPDATED_AT,
    Field,
    NaturalKey,
    Reference,
    flag,
    snake,
    text,
)
from retailos.declare.finders import During, Item, Through
from retailos.declare.money import Money
from retailos.declare.names import did_you_mean, spaced
from retailos.declare.resource import Resource, Resources
from retailos.declare.rules import AtMostOne, Together
from retailos.declare.shapes import Shape
from retailos.declare.texts import Text
from retailos.declare.values import Number, Uuid
from retailos.resources import RESOURCES

DOMAINS = {
    "scv": (
        *("customer", "customerNote", "interaction", "appointment", "task", "wishlist"),
        *("loyaltyAccount", "consentEvent", "customerAssignment"),
    ),
    "org": ("user", "store", "territory", "region", "department", "client"),
    "pim": ("product", "variant", "category", "price"),
    "inv": ("stockLevel",),
    "oms": ("order", "basket", "promotion"),
}
STOCK_LEVEL = Resource(
    name="stockLevel",
    plural="stockLevels",
    domain="inv",
    members=(
        text("label", 10, "x", folded=True, required=True),
        Reference(name="store", to="store"),
        RELATIONS,
        DETAILS,
        UPDATED_AT,
        CREATED_AT,
        Field(name="place", kind=Shape({"shelf": Text(5)})),
    ),
    indexes=("label",),
    filters=("place.shelf",),
)


MERGED = Field(name="mergedIntoId", kind=Uuid(), read_only=True, at="merged_into_id")
PARENT = Reference(name="p", to="thing", levels=3)


def declared(**changes: object) -> Resource:
    """A small resource, with some of its declaration changed."""
    plain = {"name": "thing", "plural": "things", "domain": "org", "members": (text("name", 10), DETAILS)}
    return Resource(**(plain | changes))  # type: ignore[arg-type]


def test_names_are_derived() -> None:
    """Table, path, titles, actions and queues of a resource follow from its name and its plural."""
    assert (STOCK_LEVEL.table, STOCK_LEVEL.collection) == ("stock_levels", "stock-levels")
    assert (STOCK_LEVEL.title, STOCK_LEVEL.title_plural) == ("Stock level", "Stock levels")
    assert STOCK_LEVEL.schema_name == "StockLevel"
    assert STOCK_LEVEL.external_id.name == "externalStockLevelId"
    assert STOCK_LEVEL.action("GET_ALL") == "STOCK_LEVEL_GET_ALL"
    assert STOCK_LEVEL.queue("upsert") == "inv:stockLevel:upsert"
    assert spaced("customerNote") == "Customer note"
    assert snake("address.postCode") == "address_post_code"


def test_fields_are_shown_in_the_order_of_the_declaration() -> None:
    """The ids come first and the bookkeeping last; the objects of references stand where they are said to."""
    assert [each.name for each in STOCK_LEVEL.shown] == [
        *("id", "externalStockLevelId", "label", "storeId", "store", "details", "updatedAt", "createdAt", "place"),
        *("version", "deletedAt", "sourceUpdatedAt"),
    ]
    assert list(STOCK_LEVEL.fields) == [each.name for each in STOCK_LEVEL.shown if isinstance(each, Field)]
    last = declared(members=(Reference(name="store", to="store"), DETAILS)).shown
    assert [each.name for each in last] == [
        *("id", "externalThingId", "storeId", "details", "store", "version", "deletedAt", "sourceUpdatedAt")
    ]


def test_what_can_be_looked_up_has_a_column() -> None:
    """What is indexed, unique, refers or follows from others has a column; what is only filtered by has none."""
    assert STOCK_LEVEL.columns == ("label", "storeId")
    assert RESOURCES["user"].columns == ("email", "username", "currentDepartmentId", "currentStoreId")
    assert "preferredStoreId" not in RESOURCES["customer"].columns
    assert RESOURCES["order"].columns[-2:] == ("paymentStatus", "fulfilmentStatus")
    assert declared(indexes=("createdAt",), members=(CREATED_AT,)).columns == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": (DETAILS, DETAILS)}, "thing: expected each field once, got details twice"),
        ({"members": (text("storeId", 1), Reference(name="store", to="x"))}, "got storeId twice"),
        ({"members": (text("store", 1), Reference(name="store", to="x"))}, "got store twice"),
        ({"indexes": ("nmae",)}, "thing: expected a known name, got nmae; did you mean name?"),
        ({"indexes": (("name", "detials"),)}, "got detials; did you mean details?"),
        ({"unique": ("x",)}, "got x"),
        ({"filters": ("name.x",)}, "expected a shape before .x in name.x"),
        ({"search": ("x",)}, "got x"),
        ({"requires_one_of": ("name", "x")}, "got x"),
        ({"projection": ("id", "x")}, "got x"),
        ({"webhook_relations": ("store",)}, "got store"),
        ({"place": ("latitude", "longitude")}, "got latitude"),
        ({"mergeable": True}, "thing: expected a known name, got mergedIntoId"),
        (
            {"mergeable": True, "members": (MERGED, PARENT)},
            "thing: expected no tree of what is mergeable, got one by p",
        ),
        ({"together": (Together(("name", "x")),)}, "got x"),
        ({"together": (Together(("name",), yields="b"),)}, "expected a rule that yields from one value to another"),
        ({"together": (Together(("name",), ("name", "b"), yields="b"),)}, "yields from one value to another"),
        ({"together": (Together(("name",), ("name", "b"), yields="b" * 101),)}, "of name, got bbb"),
        ({"together": (Together(("name",), ("name", "b"), yields="c"),) * 2}, "one rule at most that yields, got 2"),
        ({"rules": (AtMostOne(("name", "x")),)}, "got x"),
        ({"finders": (Item("tag", "tags"),)}, "got tags"),
        ({"finders": (Item("tag", "name"),)}, "expected an array with items of that name, got name"),
        ({"finders": (During("at", "begin", "end"),)}, "got begin"),
        ({"finders": (Through("sku", "variant", "sku"),)}, "got variant"),
        ({"natural_key": NaturalKey(("store", "variant"), "stock")}, "got store"),
        (
            {
                "natural_key": NaturalKey(("a", "b"), "stock"),
                "members": (Reference(name="a", to="thing"), Reference(name="b", to="thing")),
            },
            "thing: expected a rule that no two have one natural key, got none",
        ),
        ({"members": (Field(name="total", kind=Money()),)}, "expected a known name, got "),
        ({"members": (Field(name="level", kind=Number(1, 2), derived=Level("parent")),)}, "got parent"),
        ({"members": (Field(name="zone", kind=Text(9), derived=Inherited("store", "zone")),)}, "got store"),
    ],
    ids=str,
)
def test_a_declaration_that_contradicts_itself_is_refused(changes: dict[str, object], message: str) -> None:
    """A mistake in a declaration is an error when it is built, and names the mistake."""
    with pytest.raises(DeclarationError) as caught:
        declared(**changes)
    assert message in str(caught.value)


def test_references_lead_to_resources() -> None:
    """A reference to what is not there, or to what can't be shown within others, is refused."""
    with pytest.raises(DeclarationError, match=r"expected a known name, got thnig; did you mean thing\?"):
        Resources([declared(members=(Reference(name="a", to="thnig"),), projection=("id",))])
    with pytest.raises(DeclarationError, match="expected a projection, since thing shows it"):
        Resources([declared(members=(Reference(name="a", to="thing"),))])
    with pytest.raises(DeclarationError, match="got x"):
        Resources([declared(members=(Reference(name="a", to="thing", projection=("x",)),))])


@pytest.mark.parametrize(
    ("ids", "of", "message"),
    [
        ("", "x", "got x"),
        ("", "title", "a plain text of one thing"),
        ("", "version", "a plain text of one thing"),
        ("parentIds", "name", "a plain text of one thing"),
    ],
)
def test_what_is_inherited_is_a_plain_text(ids: str, of: str, message: str) -> None:
    """A field inherits a text of its own kind that is a member of the body, and of one record."""
    parent = Reference(name="parent", to="thing", ids=ids)
    title = Field(name="title", kind=Text(9), derived=Inherited("parent", of))
    name = Field(name="name", kind=Text(9))
    with pytest.raises(DeclarationError, match=message):
        Resources([declared(members=(parent, name, title), projection=("id",))])


def test_what_refers_to_a_resource_is_known() -> None:
    """Whoever is merged knows by the declarations who refers to it, and how."""
    told = {each.name: [one.name for one in found] for each, found in RESOURCES.referring(RESOURCES["store"])}
    assert told["customer"] == ["registeredAt", "preferredStore"]
    assert (told["user"], told["department"]) == (["currentStore", "stores"], ["store"])


def test_consents_are_declared() -> None:
    """The flags that a merge treats as consents are the customer's six."""
    assert [each.name for each in RESOURCES["customer"].fields.values() if each.consent] == [
        f"{each}Marketing" for each in ("general", "thirdParty", "store", "sms", "email", "post")
    ]


def test_resources_are_found_by_name_and_by_collection() -> None:
    """The table of resources keeps their order, and knows the segment of each one's URL."""
    assert list(RESOURCES) == [
        *("customer", "user", "store", "territory", "region", "department", "client"),
        *("product", "variant", "category", "price", "stockLevel"),
        *("order", "basket", "wishlist"),
        *("appointment", "customerNote", "interaction", "task"),
        *("promotion", "loyaltyAccount", "consentEvent", "customerAssignment"),
    ]
    assert set(RESOURCES) == {name for names in DOMAINS.values() for name in names}
    assert RESOURCES.by_collection["territories"] is RESOURCES["territory"]
    assert len(RESOURCES.by_collection) == len(RESOURCES)


def test_the_declared_resources_are_the_guides() -> None:
    """The customer, the user and the store have the guide's fields, in its order."""
    assert list(RESOURCES["customer"].fields)[:25] == [
        *("id", "externalCustomerId", "title", "gender", "firstName", "lastName", "telephone", "email", "dob"),
        *(
            "generalMarketing",
            "thirdPartyMarketing",
            "storeMarketing",
            "smsMarketing",
            "emailMarketing",
            "postMarketing",
        ),
        *(
            "address",
            "details",
            "reporting",
            "anonymised",
            "registeredById",
            "registeredAtId",
            "territoryId",
            "regionId",
        ),
        *("createdAt", "updatedAt"),
    ]
    for name in ("user", "store", "territory"):
        resource = RESOURCES[name]
        positions = [list(resource.fields).index(each) for each in resource.projection]
        assert positions == sorted(positions), name


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
def test_every_resource_has_what_every_record_has(resource: Resource) -> None:
    """Each record has an id, an external id, free JSON, its moments, a version and a tombstone."""
    common = {"id", "details", "reporting", "createdAt", "updatedAt", "version", "deletedAt", "sourceUpdatedAt"}
    assert common | {resource.external_id.name} <= set(resource.fields)
    assert resource.fields["details"].default == resource.fields["reporting"].default == {}
    assert resource.name in DOMAINS[resource.domain]


def test_what_is_personal_is_marked() -> None:
    """Names, addresses, birthdays, free JSON and external ids are personal; switches and codes are not."""
    personal = {name for name, field in RESOURCES["customer"].fields.items() if field.personal}
    assert personal == {
        *("externalCustomerId", "title", "gender", "firstName", "lastName", "telephone", "email", "dob", "address"),
        *("details", "reporting"),
    }


def test_who_mistypes_is_told_the_next_best() -> None:
    """A close name is suggested, and none where nothing is close."""
    assert did_you_mean("lastNmae", ["firstName", "lastName"]) == "; did you mean lastName?"
    assert did_you_mean("zzz", ["firstName"]) == ""
    assert did_you_mean("x" * 100_000, ["firstName"]) == ""


def test_a_flag_is_false_until_it_is_set() -> None:
    """A switch that was never sent reads as false, and is never null."""
    switch = flag("on")
    assert (switch.default, switch.nullable) == (False, False)
