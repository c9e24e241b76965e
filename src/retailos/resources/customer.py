"""A customer: whoever buys, as the guide shows it field by field."""

from retailos.declare.field import CREATED_AT, DETAILS, RELATIONS, REPORTING, UPDATED_AT, Field, Reference, flag, text
from retailos.declare.flips import Flips
from retailos.declare.resource import Resource
from retailos.declare.texts import LOCALE, Email, Telephone
from retailos.declare.values import Dob, Timestamp, Uuid
from retailos.resources import formats
from retailos.resources.consent_event import CONSENT_EVENT
from retailos.resources.parts import ADDRESS, FIRST_NAMES, LAST_NAMES, MARKETING

CUSTOMER = Resource(
    name="customer",
    plural="customers",
    domain="scv",
    members=(
        text("title", 50, "Mr", "Ms", "Mx", "Dr", personal=True),
        text("gender", 30, "Female", "Male", "Unknown", personal=True),
        text("firstName", 100, *FIRST_NAMES, folded=True, personal=True),
        text("lastName", 100, *LAST_NAMES, folded=True, personal=True),
        Field(name="telephone", kind=Telephone(), personal=True),
        Field(name="email", kind=Email(), personal=True),
        Field(name="dob", kind=Dob(), personal=True),
        *(flag(each, consent=True) for each in MARKETING),
        Field(name="address", kind=ADDRESS, personal=True),
        DETAILS,
        REPORTING,
        flag("anonymised", only=False),
        Reference(name="registeredBy", to="user"),
        Reference(name="registeredAt", to="store"),
        Reference(name="territory", to="territory"),
        Reference(name="region", to="region"),
        RELATIONS,
        CREATED_AT,
        UPDATED_AT,
        Field(name="anonymisedAt", kind=Timestamp(), read_only=True),
        Field(name="mergedIntoId", kind=Uuid(), read_only=True, at="merged_into_id"),
        Field(name="preferredLocale", kind=LOCALE),
        Reference(name="preferredStore", to="store", indexed=False),
    ),
    projection=("id", "externalCustomerId", "firstName", "lastName", "email"),
    webhook_relations=("registeredBy", "registeredAt", "territory"),
    mergeable=True,
    requires_one_of=("firstName", "lastName", "telephone", "email"),
    indexes=("email", "telephone", ("lastName", "firstName"), "dob"),
    filters=(*MARKETING, "anonymised", "address.postCode"),
    remarks=(formats.telephones("telephone"),),
    search=("lastName", "firstName", "email", "telephone"),
    flips=Flips(
        flags=MARKETING,
        to=CONSENT_EVENT,
        record_id="customerId",
        flag="channel",
        value="granted",
        at="occurredAt",
        source="source",
    ),
)
