"""The template of a webhook's URL: which fields of a record stand in it, each as one segment."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from retailos.declare import shapes
from retailos.declare.names import a, did_you_mean
from retailos.declare.resource import Resources
from retailos.declare.shapes import FreeJson, ListOf
from retailos.errors import Problem
from retailos.exchanges.addresses import Policy, check_url

_VARIABLE = re.compile(r"\{([^{}]*)\}")


# A worker asks for each delivery anew.
@lru_cache(maxsize=1_000)
def variables(url: str) -> tuple[str, ...]:
    """The names in braces of a URL template, in order."""
    return tuple(_VARIABLE.findall(url))


def url_problems(resources: Resources, values: Mapping[str, Any], policy: Policy) -> list[Problem]:
    """Every problem of a webhook's URL: where it leads, and what stands in its braces."""
    url, resource = values["url"], resources[values["resource"]]
    problems = check_url(url, policy)
    usable = [
        name for name, field in resource.fields.items() if not isinstance(field.kind, FreeJson | ListOf | shapes.Shape)
    ]
    for name in variables(url):
        if name not in usable:
            hint = did_you_mean(name, usable) or f"; such as {{{resource.external_id.name}}}"
            message = f"expected fields of {a(resource.name)} in braces, got {{{name[:100]}}}{hint}"
            problems.append(Problem("/url", "UNKNOWN_TEMPLATE_FIELD", message))
    if re.search(r"[{}]", _VARIABLE.sub("", url)):
        problems.append(Problem("/url", "INVALID_TEMPLATE", "expected every { to be closed by a }"))
    return problems


def batch_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Every problem of a URL, and of a way to tell of a deletion, that would have to be each record's own."""
    for name in dict.fromkeys(variables(values["url"])):
        message = f"expected a URL that needs no record's {name[:100]}, since a batch tells of many; or batchSize 1"
        yield Problem("/url", "TEMPLATE_IN_BATCH", message)
    if values["onDelete"] == "delete":
        message = "expected send, since a batch tells of many, and each says when it was deleted; or batchSize 1"
        yield Problem("/onDelete", "DELETE_IN_BATCH", message)
