"""Formats that are not insisted on: which GTINs and telephone numbers are what they are called."""

from collections.abc import Iterator
from typing import Any

import pytest

from retailos.declare.checks import DeclarationError
from retailos.declare.inner import InnerArray
from retailos.declare.resource import Resource
from retailos.declare.shapes import Shape
from retailos.resources import RESOURCES
from retailos.resources.formats import Unlike, gtins, is_gtin, is_telephone, telephones


@pytest.mark.parametrize(
    "text", ["96385074", "036000291452", "4006381333931", "5012345678900", "10012345678902", "00000000"]
)
def test_a_gtin_ends_with_its_check_digit(text: str) -> None:
    """Numbers of all four lengths are GTINs, and with any other last digit they are none."""
    assert is_gtin(text)
    for digit in set("0123456789") - {text[-1]}:
        assert not is_gtin(text[:-1] + digit)


@pytest.mark.parametrize(
    "text", ["hello", "", "0", "123456789", "4006381333931 ", "\u0660" * 8, "-4006381333931", "4" * 50]
)
def test_what_has_other_characters_or_another_length_is_no_gtin(text: str) -> None:
    """A GTIN is 8, 12, 13 or 14 digits and nothing else."""
    assert not is_gtin(text)


@pytest.mark.parametrize(
    "text",
    [
        *("+44 8800000000", "+44 20 7946 0958", "+44 (0)20 7946-0958", "0044 20 7946 0958", "02079460958", "26825"),
        *("+1 (555) 010-9999 ext. 12", "555.010.9999x12", "030/901820", "(020) 7946 0958", "+683 4002", " 0123 4567 "),
        *("+290 2345", "020 7946\u20110958", "+49 30 901820 #3", "+123456789012345", "00123456789012345"),
    ],
)
def test_a_telephone_number_is_read_however_it_is_written(text: str) -> None:
    """Separators, a trunk prefix in brackets and an extension make no number unreadable, the guide's is one."""
    assert is_telephone(text)


@pytest.mark.parametrize(
    "text", ["unknown", "n/a", "-", "+", "00", "123", "++44 20 7946", "ada@example.com", "1" * 16, "+44 twenty", "x12"]
)
def test_what_has_no_number_in_it_can_not_be_read(text: str) -> None:
    """Words, too few digits and more than E.164 has are no telephone number."""
    assert not is_telephone(text)


def test_what_was_sent_is_looked_at_wherever_it_stands() -> None:
    """A remark names each text that it means by its pointer, and passes over what was not sent, or is empty."""
    patch: dict[str, Any] = {
        "gtin": "hello",
        "guest": {"gtin": "5012345678901"},
        "lines": [{"gtin": "5012345678900"}, {}, {"gtin": None}, {"gtin": ""}, {"gtin": "1"}],
        "empty": None,
    }
    remark = gtins("gtin", "guest.gtin", "lines.gtin", "empty.gtin", "absent", "absent.gtin")
    assert [(each.path, each.code) for each in remark(patch)] == [
        ("/gtin", "NOT_A_GTIN"),
        ("/guest/gtin", "NOT_A_GTIN"),
        ("/lines/4/gtin", "NOT_A_GTIN"),
    ]
    assert list(remark({})) == []
    assert all("hello" not in each.message for each in remark(patch))


def test_the_same_mistake_is_told_some_times() -> None:
    """An order of a thousand wrong numbers has ten warnings, not a thousand."""
    assert len(list(telephones("many.telephone")({"many": [{"telephone": "?"}] * 1000}))) == 10


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
def test_a_format_is_looked_for_where_the_resource_has_it(resource: Resource) -> None:
    """Every path of a remark is one of the resource's, and no telephone and no GTIN is forgotten."""
    looked_at = {path for each in resource.remarks if isinstance(each, Unlike) for path in each.paths}
    for path in looked_at:
        try:
            resource.kind_at(path)
        except DeclarationError:
            resource.item_kind(path)
    assert looked_at == set(paths_of(resource))


def paths_of(resource: Resource) -> Iterator[str]:
    """The paths of a resource that end in a telephone number or a GTIN."""
    for name, field in resource.fields.items():
        kind: Any = field.kind
        within = kind.members if isinstance(kind, Shape) else kind.fields if isinstance(kind, InnerArray) else ()
        for path in (name, *(f"{name}.{member}" for member in within)):
            last = path.rpartition(".")[2].lower()
            if "telephone" in last or last == "gtin":
                yield path
