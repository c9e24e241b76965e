"""Hostile input as tables: bodies, values for each kind of field and headers that must be refused."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Final

import msgspec

from retailos.declare.field import Field, Reference
from retailos.declare.inner import InnerArray
from retailos.declare.kind import Kind
from retailos.declare.money import Money
from retailos.declare.resource import Resource, Resources
from retailos.declare.shapes import FreeJson, ListOf, Shape, TextOr
from retailos.declare.texts import COUNTRY, CURRENCY, DAY, TIME_ZONE, Choice, Code, Email, ExternalId, Text
from retailos.declare.values import Boolean, Dob, Number, Timestamp, Uuid

#: Stands in every hostile value as if it were somebody's name: no answer may repeat it.
PERSONAL: Final = "Kanarienvogel"
MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One hostile request to a route: what differs from a good one, and the status that it must get."""

    name: str
    status: int = 400
    body: bytes | None = None
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    code: str = field(default="")


def listed(texts: str) -> list[str]:
    """Texts that are written down with | between them."""
    return texts.split("|")


def _body(name: str, body: bytes, status: int = 400, code: str = "") -> Attack:
    return Attack(name=name, body=body, status=status, code=code)


_JSON: Final = "application/json"
#: Refused by every route that takes a body, whatever it is about.
BODIES: Final = (
    _body("nothing", b"", code="MALFORMED_JSON"),
    _body("white space", b" \n", code="MALFORMED_JSON"),
    _body("null", b"null"),
    _body("an array", b"[]"),
    _body("an array of an object", b'[{"name": "x"}]'),
    _body("a string", b'"x"'),
    _body("a number", b"1"),
    _body("true", b"true"),
    _body("truncated", b'{"name": "Kanarienvogel', code="MALFORMED_JSON"),
    _body("truncated in a key", b'{"name', code="MALFORMED_JSON"),
    _body("trailing bytes", b'{"name": "x"} x', code="MALFORMED_JSON"),
    _body("two objects", b'{"name": "x"}{}', code="MALFORMED_JSON"),
    _body("a comma too many", b'{"name": "x",}', code="MALFORMED_JSON"),
    _body("single quotes", b"{'name': 'x'}", code="MALFORMED_JSON"),
    _body("no quotes", b"{name: 1}", code="MALFORMED_JSON"),
    _body("a comment", b'{"name": "x" /* y */}', code="MALFORMED_JSON"),
    _body("byte order mark", b'\xef\xbb\xbf{"name": "x"}', code="MALFORMED_JSON"),
    _body("UTF-16", '{"name": "x"}'.encode("utf-16"), code="MALFORMED_JSON"),
    _body("UTF-16 without mark", '{"name": "x"}'.encode("utf-16-le"), code="MALFORMED_JSON"),
    _body("latin-1", '{"name": "Kanarienvogel é"}'.encode("latin-1"), code="MALFORMED_JSON"),
    _body("overlong UTF-8", b'{"name": "\xc0\xaf"}', code="MALFORMED_JSON"),
    _body("a surrogate in UTF-8", b'{"name": "\xed\xa0\x80"}', code="MALFORMED_JSON"),
    _body("a bare NUL", b'{"name": "a\x00b"}', code="MALFORMED_JSON"),
    _body("a bare newline in a string", b'{"name": "a\nb"}', code="MALFORMED_JSON"),
    _body("a bad escape", b'{"name": "\\x41"}', code="MALFORMED_JSON"),
    _body("half an escape", b'{"name": "\\u00"}', code="MALFORMED_JSON"),
    _body("NUL in a key", b'{"na\\u0000me": 1}'),
    _body("lone surrogate as a key", b'{"\\ud800": 1}'),
    _body("lone surrogate in a long key", b'{"name": "x", "' + b"k" * 90 + b'\\udfff": 1}'),
    _body("a key of 100 kB", b'{"' + b"k" * 100_000 + b'": 1}'),
    _body("an empty key", b'{"": 1}'),
    _body("a key twice", b'{"name": "x", "name": "Kanarienvogel"}', code="MALFORMED_JSON"),
    _body("an unknown key twice", b'{"x": 1, "x": 2}', code="MALFORMED_JSON"),
    _body("100,000 arrays", b'{"details": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", code="MALFORMED_JSON"),
    _body("100,000 objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, code="MALFORMED_JSON"),
    _body("100,000 arrays, never closed", b"[" * 100_000, code="MALFORMED_JSON"),
    _body("200 levels", b'{"x": ' + b"[" * 200 + b"]" * 200 + b"}"),
    _body("a hundred thousand keys", b"{" + b",".join(b'"k%d":1' % i for i in range(80_000)) + b"}"),
    _body("a million keys", b"{" + b",".join(b'"k%d":1' % i for i in range(1_000_000)) + b"}", 413),
    _body("a string of 10 MB", b'{"name": "' + b"x" * 10_000_000 + b'"}', 413, "PAYLOAD_TOO_LARGE"),
    _body("a byte too many", b'{"name": "' + b"x" * (MEBIBYTE - 11) + b'"}', 413, "PAYLOAD_TOO_LARGE"),
    _body("NaN", b'{"name": NaN}', code="MALFORMED_JSON"),
    _body("Infinity", b'{"name": Infinity}', code="MALFORMED_JSON"),
    _body("-Infinity", b'{"name": -Infinity}', code="MALFORMED_JSON"),
    _body("5,000 digits", b'{"name": ' + b"9" * 5_000 + b"}", code="MALFORMED_JSON"),
    _body("5,000 digits behind a minus", b'{"name": -' + b"9" * 5_000 + b"}", code="MALFORMED_JSON"),
    _body("an exponent beyond decimals", b'{"name": 1e1000000000000000000}'),
    _body("an exponent beyond everything", b'{"name": 1e99999999999999999999999}'),
    _body("a tiny exponent beyond everything", b'{"name": -1e-99999999999999999999999}'),
    _body("1e200000", b'{"name": 1e200000}'),
    _body("leading zeros", b'{"name": 007}', code="MALFORMED_JSON"),
    _body("hexadecimal", b'{"name": 0x1F}', code="MALFORMED_JSON"),
    _body("__proto__", b'{"name": "x", "__proto__": {"admin": true}}'),
    _body("constructor", b'{"name": "x", "constructor": {"prototype": 1}}'),
    _body("a form", b"name=x&email=y", code="MALFORMED_JSON"),
    _body("XML", b"<?xml version='1.0'?><customer/>", code="MALFORMED_JSON"),
    _body("a gzip stream", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", code="MALFORMED_JSON"),
    Attack(name="no media type", status=415, body=b"{}", headers=(("Content-Type", ""),)),
    Attack(name="text/plain", status=415, body=b"{}", headers=(("Content-Type", "text/plain"),)),
    Attack(name="a form", status=415, body=b"{}", headers=(("Content-Type", "multipart/form-data; boundary=x"),)),
    Attack(name="latin1", status=415, body=b"{}", headers=(("Content-Type", "application/json; charset=latin1"),)),
    Attack(name="utf-16", status=415, body=b"{}", headers=(("Content-Type", 'application/json; charset="utf-16"'),)),
    Attack(name="a charset behind", status=415, body=b"{}", headers=(("Content-Type", f"{_JSON}; x=y; charset=x"),)),
    Attack(name="two charsets", status=415, body=b"{}", headers=(("Content-Type", f"{_JSON};charset=utf8;charset=x"),)),
    Attack(name="an empty charset", status=415, body=b"{}", headers=(("Content-Type", f"{_JSON}; charset="),)),
    Attack(name="a control", status=400, body=b"{}", headers=(("Content-Type", "application\x01/json"),)),
    Attack(name="gzip", status=415, body=b"{}", headers=(("Content-Encoding", "gzip"),)),
    Attack(name="br, gzip", status=415, body=b"{}", headers=(("Content-Encoding", "br, gzip"),)),
)

_EVERY_TYPE: Final = MappingProxyType(
    {
        "string": '"Kanarienvogel"',
        "number": "17",
        "fraction": "1.5",
        "boolean": "true",
        "array": "[1]",
        "object": '{"a": 1}',
    }
)
_BAD_TEXT: Final = ('"Kanarienvogel \\u0000"', '"Kanarienvogel \\ud800"', '"\\udc00\\ud800"')


def _other_than(*types: str) -> list[str]:
    return [text for name, text in _EVERY_TYPE.items() if name not in types]


def wrong_values(kind: Kind) -> list[str]:
    """JSON texts that a field of this kind must refuse."""
    match kind:
        case Dob():
            return [*_other_than(), *(f'"{each}"' for each in _NO_DOBS)]
        case Email():
            return [*_other_than(), *_BAD_TEXT, *(f'"{each}"' for each in _NO_EMAILS), f'"{"x" * 10_000}@example.com"']
        case Choice(open=False) | Code():
            nothing = [f'"{each}"' for each in _NO_CODES.get(kind, ())] if isinstance(kind, Code) else []
            strange = ['""', '"open "', '"GBR\\n"', '"Kanarien vogel"', '"../etc/passwd"', f'"{"x" * 1000}"']
            return [*nothing, *_other_than("string"), *_BAD_TEXT, *strange]
        case ExternalId():
            return list(NO_EXTERNAL_IDS)
        case Text():
            return [*_other_than("string"), *_BAD_TEXT, f'"{PERSONAL}{"x" * kind.most}"']
        case Boolean():
            only = [str(not kind.only).lower()] if kind.only is not None else []
            return [*_other_than("boolean"), "0", "1", '"true"', '""', *only]
        case Number():
            beyond = [str(kind.least - 1), str(kind.most + 1), f"{2**63}", f"{2**70}", "-1e400", "1e400", "1e200000"]
            return [*_other_than("number", "fraction"), *beyond, '"1"', *_fractions(kind)]
        case Money():
            negative = ['"-0.01"', "-1"] if kind.least == 0 else []
            return [*_other_than("number", "fraction"), *_BAD_TEXT, *_NO_AMOUNTS, *negative]
        case Uuid():
            return [*_other_than(), '"0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6"', '"{0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f}"']
        case Timestamp():
            return [*_other_than(), *(f'"{each}"' for each in _NO_TIMESTAMPS)]
        case FreeJson():
            return [*(_other_than("object") if kind.object_only else ()), "[]" if kind.object_only else "1e309", *_FREE]
        case ListOf():
            items = [f"[{text}]" for text in wrong_values(kind.item) if text != '""']
            return [*_other_than("array"), *items, "[null]", f"[{','.join(['1'] * (kind.most + 1))}]"]
        case Shape():
            members = [(name, text) for name, member in kind.members.items() for text in wrong_values(member)[:9]]
            inner = [f'{{"{name}": {text}}}' for name, text in members]
            return [*_other_than("object"), '{"Kanarien": "x"}', '{"\\u0000": 1}', '{"\\ud800": 1}', *inner]
        case InnerArray():
            good = msgspec.json.encode(kind.sample(Random(1))[0]).decode()[1:-1]
            own = [each for each in kind.members if isinstance(each, Field) and not each.read_only]
            wrong = [(each.name, text) for each in own for text in wrong_values(each.kind)[:9] if text != '""']
            items = [_item(good, name, text) for name, text in wrong]
            missing = [_item(good, each.name, "null") for each in own if each.required]
            strange = ["[null]", "[[]]", "[1]", _item(good, "Kanarien", '"x"'), f"[{{{good}}},{{{good}}}]"]
            few = ["[]"] if kind.least else []
            return [*_other_than(), *items, *missing, *strange, *few, f"[{','.join(['{}'] * (kind.most + 1))}]"]
        case TextOr():
            objects = [text for text in wrong_values(kind.shape) if text.startswith("{")]
            return [*_other_than("string", "object"), *_BAD_TEXT, *objects]
    raise LookupError(f"no hostile values for {kind}")


def _item(good: str, name: str, text: str) -> str:
    """An array of one item, good but for one member."""
    members = msgspec.json.decode(f"{{{good}}}")
    members.pop(name, None)
    return f'[{{"{name}": {text}, {msgspec.json.encode(members).decode()[1:-1]}}}]'


def _fractions(kind: Number) -> list[str]:
    return [f"0.{'1' * (kind.places + 1)}", "1e-400", "1e-200000"] if kind.places else ["1.0", "1e1", "-0.0"]


_NO_DOBS: Final = listed(
    "31/02/1990|29/02/1900|00/00/0000|1990-06-09|1/1/1990|01/01/99999|01/01/1899|01/13/1990|01/01/2999|01.01.1990"
    "| 01/01/1990|01/01/1990 |01/01/1990\\n|\\u0660\\u0661/01/1990|Kanarienvogel|\\u0000"
)
#: Of the form of a standard, and no code of it.
_NO_CODES: Final = MappingProxyType(
    {
        COUNTRY: ("XX", "ZZ", "UK"),
        CURRENCY: ("ZZZ", "AAA"),
        TIME_ZONE: ("Foo/Bar", "Europe", "europe/london", "Factory", "localtime"),
        DAY: ("2026-02-31", "2026-02-29", "0000-01-01"),
    }
)
_NO_AMOUNTS: Final = (
    *(
        '""',
        '"1,50"',
        '"1.23456"',
        '"1234567890123"',
        '"1e3"',
        '"NaN"',
        '" 1"',
        '"1 "',
        '"1\\n"',
        '"+1"',
        '".5"',
        '"5."',
    ),
    *('"\\u0661"', '"--1"', '"12.50 GBP"', "1.23456", "1234567890123", "1e400", "1e-400", "1e200000", str(2**63)),
)
_NO_EMAILS: Final = listed("Kanarienvogel|@|a@|@b|a b@c|a@b c|a@b@c|a\\u0000@b|a\\n@b|a@b\\n|a@b\\u2028")
_NO_TIMESTAMPS: Final = listed(
    "|Kanarienvogel|2020-03-25|2020-03-25T13:41:30|2020-03-25 13:41:30Z|2020-02-30T00:00:00Z|2020-03-25T25:00:00Z"
    "|2020-03-25T13:41:30+25:00|99999-01-01T00:00:00Z|0001-01-01T00:00:00Z|2020-03-25T13:41:30.0000000000Z"
    "|2020-03-25T13:41:60Z|2020-03-25T13:41:30Z\\n|9999-12-31T23:59:59-01:00"
)
_FREE: Final = (
    '{"a": "Kanarienvogel \\u0000"}',
    '{"a": ["Kanarienvogel \\ud800"]}',
    '{"Kanarienvogel\\u0000": 1}',
    '{"\\ud800": 1}',
    '{"a": ' * 10 + "{}" + "}" * 10,
    '{"a": ' + "[" * 10 + "]" * 10 + "}",
    f'{{"a": {10**40 + 1}}}',
    f'{{"a": {"9" * 1001}}}',
    '{"a": 1e309}',
    '{"a": -1e400}',
    '{"a": 1e200000}',
    '{"a": 1e-309}',
    '{"a": 0e500}',
    f'{{"a": 0.{"1" * 41}}}',
    f'{{"a": "{PERSONAL * 6000}"}}',
)

#: What can't be an external id, as JSON.
NO_EXTERNAL_IDS: Final = (
    *('""', "17", "true", "[]", '"."', '".."', '"a\\u0000"', '"\\ud800"', '"a\\nb"', '"a\\u007f"', '"\\u0085"'),
    f'"{PERSONAL}{"x" * 255}"',
)


def wrong_references(resources: Resources, reference: Reference) -> Iterator[tuple[str, str]]:
    """Members that a reference must refuse: the name, and the JSON text of its value."""
    key = resources[reference.to].external_id.name
    objects = [f'{{"{key}": {each}}}' for each in NO_EXTERNAL_IDS]
    objects += ["{}", '{"name": "Kanarienvogel"}', '{"id": 17}', '{"id": "Kanarienvogel"}', f'{{"{key}": null}}']
    for text in objects:
        yield reference.name, f"[{text}]" if reference.ids else text
    for text in _other_than("object", "array") if reference.ids else _other_than("object"):
        yield reference.name, text
    if reference.ids:
        yield reference.name, "[null]"
        yield reference.name, f"[{','.join(['{}'] * 501)}]"


def wrong_members(resources: Resources, resource: Resource) -> Iterator[tuple[str, str]]:
    """Every member that is wrong in itself: its name, and the JSON text of its value."""
    for name, declared in resource.fields.items():
        if name == resource.external_id.name:
            yield from ((name, text) for text in NO_EXTERNAL_IDS)
        elif name == "id":
            yield from ((name, text) for text in wrong_values(Uuid()))
        elif not declared.read_only:
            yield from ((name, text) for text in wrong_values(declared.kind))
            if declared.required:
                yield name, "null"
    for reference in resource.references:
        yield from wrong_references(resources, reference)
    for name, array in resource.inner.items():
        good = msgspec.json.encode(array.sample(Random(1))[0]).decode()[1:-1]
        for reference in array.references:
            yield from ((name, _item(good, each, text)) for each, text in wrong_references(resources, reference))


#: Refused in the headers of every route that takes a key.
KEYS: Final = (
    Attack(name="no value", status=401, headers=(("Authorization", ""),)),
    Attack(name="a scheme alone", status=401, headers=(("Authorization", "API_KEY"),)),
    Attack(name="a scheme and a space", status=401, headers=(("Authorization", "API_KEY "),)),
    Attack(name="another scheme", status=401, headers=(("Authorization", "Basic dTpw"),)),
    Attack(name="no scheme", status=401, headers=(("Authorization", "Kanarienvogel"),)),
    Attack(name="no key", status=401, headers=(("Authorization", "API_KEY Kanarienvogel"),)),
    Attack(name="not ASCII", status=401, headers=(("Authorization", "API_KEY rk_é_\xff"),)),
    Attack(name="10 kB", status=401, headers=(("Authorization", "API_KEY " + "x" * 10_000),)),
    Attack(name="100 kB", status=431, headers=(("Authorization", "API_KEY " + "x" * 100_000),)),
)

#: Refused in the headers of every route.
HEADERS: Final = (
    Attack(name="no JSON accepted", status=406, headers=(("Accept", "text/html"),), code="NOT_ACCEPTABLE"),
    Attack(name="unknown expectation", headers=(("Expect", "Kanarienvogel"),)),
    Attack(name="two expectations", headers=(("Expect", "100-continue, x"),)),
    Attack(name="header block of 17 KiB", status=431, headers=(("X-Much", "x" * 17 * 1024),), code="HEADERS_TOO_LARGE"),
    Attack(name="300 headers", status=431, headers=tuple((f"X-{i}", "x" * 60) for i in range(300))),
    Attack(name="header block of 100 kB", status=431, headers=(("X-Much", "x" * 100_000),), code="HEADERS_TOO_LARGE"),
    Attack(name="NUL in a header", headers=(("X-Odd", "a\x00b"),)),
    Attack(name="a control character in a header", headers=(("X-Odd", "a\x01b"),)),
    Attack(name="DEL in a header", headers=(("X-Odd", "a\x7fb"),)),
    Attack(name="white space in a header's name", headers=(("X Odd", "a"),)),
    Attack(name="a header without a name", headers=(("", "a"),)),
    Attack(name="garbage in If-Match", headers=(("If-Match", "Kanarienvogel"),)),
    Attack(name="half a tag in If-Match", headers=(("If-Match", '"1'),)),
    Attack(name="garbage in If-None-Match", headers=(("If-None-Match", '{"a": 1}'),)),
    Attack(name="an empty Idempotency-Key", headers=(("Idempotency-Key", ""),)),
    Attack(name="an Idempotency-Key of 256 characters", headers=(("Idempotency-Key", "x" * 256),)),
    Attack(name="an Idempotency-Key that is not ASCII", headers=(("Idempotency-Key", "Kanarienvogel \xff"),)),
)
