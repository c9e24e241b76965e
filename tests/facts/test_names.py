"""The guide's words are the code's words: one name for each thing, and none that says nothing."""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from tests.facts.sources import SRC, Module, everything, modules, none_of, parts

SAYS_NOTHING: Final = frozenset(
    {
        "service",
        "manager",
        "handler",
        "helper",
        "helpers",
        "util",
        "utils",
        "entity",
        "dto",
        "repository",
        "payload",
        "base",
        "core",
        "common",
    }
)
#: A name from outside that has to be kept, and whose name it is.
GIVEN: Final = frozenset({"PayloadTooLarge"})  # HTTP's name of 413, and so the code on the wire
#: The packages that tell others of changes.
TELLING: Final = ("exchanges", "webhooks", "deliveries", "sending", "stints")
#: Words for which the guide has another one.
SYNONYMS: Final = frozenset(
    {
        "replay",
        "replays",
        "replayed",
        "redeliver",
        "redelivers",
        "redelivered",
        "redelivery",
        "subscription",
        "subscriptions",
        "subscriber",
    }
)


def defined(module: Module) -> Iterator[tuple[int, str]]:
    """Give every name that a module defines: classes, functions, arguments, variables, attributes."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def test_no_class_or_module_has_a_name_that_says_nothing() -> None:
    """A class and a module are named after what the product knows."""
    names = [
        (f"{module.path}:{node.lineno}", node.name)
        for module in everything()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    ]
    names += [
        (module.path, part) for module in everything() for part in PurePosixPath(module.path).with_suffix("").parts
    ]
    none_of(
        sorted({f"{place} {name}" for place, name in names if name not in GIVEN and SAYS_NOTHING & set(parts(name))}),
        "These names say nothing; name the thing by the product's word (architecture, nouns).",
    )


def test_there_is_one_word_for_each_thing() -> None:
    """To requeue is never called otherwise, and neither is a webhook."""
    none_of(
        (f"{m.path}:{line} {name}" for m in modules(SRC) for line, name in defined(m) if SYNONYMS & set(parts(name))),
        "The guide says requeue, and webhook.",
    )
    none_of(
        (
            f"{module.path}:{line} {name}"
            for package in TELLING
            for module in modules(f"{SRC}/{package}")
            for line, name in defined(module)
            if {"endpoint", "endpoints"} & set(parts(name))
        ),
        "What is told of changes is a webhook; an endpoint is a route of the API.",
    )


def test_everything_that_waits_has_one_colour() -> None:
    """There is no twin of a function for another colour of waiting."""
    none_of(
        (
            f"{module.path}:{line} {name}"
            for module in everything()
            for line, name in defined(module)
            if name.endswith(("_async", "_sync"))
        ),
        "Whatever waits is async, and nothing is written twice; drop the ending.",
    )
