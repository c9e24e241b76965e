"""A user: a store associate, who is deactivated on leaving and never deleted, since history refers to them."""

from retailos.declare.field import CREATED_AT, DETAILS, REPORTING, UPDATED_AT, Field, Reference, flag, text
from retailos.declare.resource import Resource
from retailos.declare.shapes import FreeJson, ListOf
from retailos.declare.texts import LOCALE, Email, Telephone, Text
from retailos.declare.values import Dob, Timestamp
from retailos.resources import formats
from retailos.resources.parts import FIRST_NAMES, LAST_NAMES

USER = Resource(
    name="user",
    plural="users",
    domain="org",
    members=(
        text("title", 50, "-", "Ms", "Mr", personal=True),
        text("gender", 30, "Unknown", "Female", "Male", personal=True),
        text("firstName", 100, *FIRST_NAMES, required=True, personal=True),
        text("lastName", 100, *LAST_NAMES, required=True, personal=True),
        text("username", 100, "26825", folded=True, required=True, personal=True),
        Field(name="email", kind=Email(), personal=True),
        Field(name="dob", kind=Dob(), personal=True),
        Field(name="telephone", kind=Telephone(), personal=True),
        flag("accountLocked"),
        flag("accountDeactivated"),
        REPORTING,
        Field(name="salesTarget", kind=FreeJson()),
        Field(name="lastNotificationReadDate", kind=Timestamp(), read_only=True),
        Field(name="lastLoginDate", kind=Timestamp(), read_only=True),
        DETAILS,
        UPDATED_AT,
        Reference(name="currentDepartment", to="department"),
        Reference(name="currentStore", to="store"),
        CREATED_AT,
        Field(name="roles", kind=ListOf(Text(100, like=("associate", "manager")), 50), default=[], nullable=False),
        Field(name="locale", kind=LOCALE),
        Reference(
            name="stores", to="store", ids="storeIds", indexed=False, projection=("id", "externalStoreId", "name")
        ),
    ),
    projection=(
        "id",
        "externalUserId",
        "title",
        "gender",
        "firstName",
        "lastName",
        "username",
        "email",
        "dob",
        "telephone",
        "accountLocked",
        "accountDeactivated",
        "reporting",
        "salesTarget",
        "lastNotificationReadDate",
        "lastLoginDate",
        "details",
        "updatedAt",
        "currentDepartmentId",
        "currentStoreId",
    ),
    indexes=("email",),
    unique=("username",),
    filters=("accountDeactivated",),
    search=("username", "email"),
    remarks=(formats.telephones("telephone"),),
)
