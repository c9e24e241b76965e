"""What several declarations share: the address, the image, and names for sample data."""

from types import MappingProxyType

from retailos.declare.shapes import ListOf, Shape, TextOr
from retailos.declare.texts import COUNTRY, Code, Telephone, Text
from retailos.declare.values import Number

FIRST_NAMES = ("Ada", "Grace", "Linus", "Mary", "Alan", "Edith", "Omar", "Yuki", "Chloé", "Søren", "Zoë", "Rosa")
LAST_NAMES = ("Lovelace", "Hopper", "Okafor", "García", "Müller", "Nakamura", "O'Neill", "Kowalska", "Smith", "Doe")

#: The flags of a customer that are consents, in the guide's order.
MARKETING = (
    *("generalMarketing", "thirdPartyMarketing", "storeMarketing"),
    *("smsMarketing", "emailMarketing", "postMarketing"),
)

_LINE = Text(200, like=("240 Blackfriars Road", "1 High Street", "22 Rue de Rivoli"))

#: The guide's keys in the guide's order, then ours. The country is a name; its code is an addition.
ADDRESS = Shape(
    MappingProxyType(
        {
            "city": Text(200, like=("London", "Paris", "Leeds")),
            "county": Text(200, like=("Greater London", "")),
            "country": Text(200, like=("United Kingdom", "France")),
            "address1": _LINE,
            "address2": Text(200, like=("", "Flat 2")),
            "postCode": Text(200, folded=True, like=("SE1 8NW", "LS1 4AP", "75001")),
            "address3": Text(200, like=("",)),
            "countryCode": COUNTRY,
        }
    )
)

#: As it was when something was ordered: the address, and whom to ask for there.
ADDRESSEE = Shape(
    MappingProxyType(
        {
            **ADDRESS.members,
            "firstName": Text(100, like=FIRST_NAMES),
            "lastName": Text(100, like=LAST_NAMES),
            "telephone": Telephone(),
        }
    )
)

#: Kept whatever it is, since in-store barcodes come as GTINs too; longer than any code that is taken for one.
GTIN = Text(50, like=("5012345678900", "4006381333931"))

URL = Text(2048, like=("https://images.example.com/store.jpg",))

IMAGES = ListOf(
    TextOr(URL, Shape(MappingProxyType({"url": URL, "alt": Text(500), "position": Number(0, 10_000)}), ("url",))), 50
)

#: Shown on pages that are served over HTTPS, which load nothing else.
HTTPS = Code(
    most=2048,
    pattern=r"https://[^\s]{1,2040}",
    what="a URL that begins with https://",
    like=("https://images.example.com/shirt.jpg",),
)

TAGS = ListOf(Text(100, least=1, like=("new", "classic")), 100)
