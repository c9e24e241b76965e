"""What each file may do: state, words to the outside, settings, SQL and transactions have their homes."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from tests.facts.sources import SRC, Module, modules, none_of

CONTAINERS: Final = frozenset(
    {
        "list",
        "dict",
        "set",
        "bytearray",
        "defaultdict",
        "deque",
        "Counter",
        "OrderedDict",
        "ChainMap",
        "Queue",
        "SimpleQueue",
        "WeakKeyDictionary",
        "WeakValueDictionary",
        "WeakSet",
    }
)
DISPLAYS: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
SPEAKING: Final = (f"{SRC}/observe/", f"{SRC}/cli.py", f"{SRC}/cli/")
SQL_HOMES: Final = (
    f"{SRC}/database/",
    *(
        f"{SRC}/records/{each}.py"
        for each in (
            "sql",
            "render",
            "change_sql",
            "told_sql",
            "merge_sql",
            "repoint_sql",
            "survivors",
            "page",
            "table",
            "flips",
            "known_sql",
            "named_sql",
            "referring_sql",
            "resent_sql",
            "alike_sql",
            "bypassed",
        )
    ),
)
SQL: Final = re.compile(
    r"\bselect\b.+\bfrom\b|\binsert\s+into\b|\bupdate\s+\S+\s+(\w+\s+)?set\b|\bdelete\s+from\b",
    re.IGNORECASE | re.DOTALL,
)
#: Who begins a transaction: what answers a request, what writes later what was accepted, what an operator does, what
#: settles, and the database's own code.
TRANSACTING: Final = (
    f"{SRC}/api/",
    f"{SRC}/operations/",
    f"{SRC}/records/writer.py",
    # Only savepoints.
    f"{SRC}/records/applying.py",
    f"{SRC}/records/circles.py",
    f"{SRC}/records/bulk.py",
    f"{SRC}/jobs/queue.py",
    f"{SRC}/sending/worker.py",
    # What became of a mail, with the plan for its next attempt.
    f"{SRC}/reports/sending.py",
    # A breaker's closing, with the requeue that it asks for.
    f"{SRC}/sending/gate.py",
    # A batch's answer is kept with what it settles.
    f"{SRC}/deliveries/register.py",
    # What happens by the clock is written with the plan for the next time.
    f"{SRC}/schedule/clock.py",
    f"{SRC}/imports/runner.py",
    # In it a savepoint, which keeps a row that is refused from taking the others with it.
    f"{SRC}/imports/apply.py",
    f"{SRC}/database/",
)


def called(node: ast.Call) -> str:
    """Give the last name of what is called: `sleep` of `asyncio.sleep(1)`."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Give every module that is imported, with the names taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def elsewhere(homes: tuple[str, ...]) -> list[Module]:
    """Give the modules of the source that are none of these homes."""
    return [module for module in modules(SRC) if not module.path.startswith(homes)]


def mutable(value: ast.expr | None) -> bool:
    """Tell whether a value is a container that can change."""
    return isinstance(value, DISPLAYS) or (isinstance(value, ast.Call) and called(value) in CONTAINERS)


def shared_state(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    """Give the changeable containers among a module's or a class's own assignments."""
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and mutable(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield node.lineno, ", ".join(ast.unparse(target) for target in targets)
        elif isinstance(node, ast.ClassDef):
            yield from shared_state(node.body)


def test_nothing_is_shared_by_being_global() -> None:
    """No module keeps state: what lives, lives in a value that is passed on."""
    none_of(
        (
            f"{module.path}:{node.lineno} {ast.unparse(node)}"
            for module in modules(SRC)
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Global)
        ),
        "`global` occurs nowhere; pass the value on.",
    )
    none_of(
        (f"{module.path}:{line} {name}" for module in modules(SRC) for line, name in shared_state(module.tree.body)),
        "No module or class holds a list, dict or set; use a tuple, a frozenset or MappingProxyType.",
    )


def test_only_observe_and_the_command_line_speak() -> None:
    """What happened is said as an observation; nothing else logs or prints."""
    prints = (
        f"{module.path}:{node.lineno} print()"
        for module in elsewhere(SPEAKING)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )
    none_of(prints, "Emit an Observation (observe/) instead.")
    streams = (
        f"{module.path}:{node.lineno} {ast.unparse(node)}"
        for module in elsewhere(SPEAKING)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.stdout", "sys.stderr"}
    )
    none_of(streams, "Only observe/ and the command line write to the standard streams.")
    logs = (
        f"{module.path}:{line} {name}"
        for module in elsewhere(SPEAKING)
        for line, name in imported(module.tree)
        if name.split(".")[0] == "logging"
    )
    none_of(logs, "Only observe/ knows how a line is written; emit an Observation.")
    rich = (
        f"{module.path}:{line} {name}"
        for module in elsewhere((*SPEAKING, f"{SRC}/demo"))
        for line, name in imported(module.tree)
        if name.split(".")[0] == "rich"
    )
    none_of(rich, "Only the command line and the demo draw on a terminal.")


def test_only_the_settings_read_the_environment() -> None:
    """What a deployment decides is read once, in one place."""
    none_of(
        (
            f"{module.path}:{node.lineno} {ast.unparse(node)}"
            for module in elsewhere((f"{SRC}/settings.py", f"{SRC}/cli.py", f"{SRC}/cli/"))
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute)
            if ast.unparse(node) in {"os.environ", "os.environb", "os.getenv", "os.getenvb"}
        ),
        "The environment is read by settings.py, and handed over by cli.py only; take what you need as an argument.",
    )


def literals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Give every text in the code but docstrings; of an f-string its fixed parts."""
    spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (spoken | inner):
            yield node.lineno, node.value


def test_sql_has_two_homes() -> None:
    """SQL stands in .sql files, or is composed where identifiers come from declarations only."""
    none_of(
        (
            f"{module.path}:{line} {' '.join(found.group().split())[:60]!r}"
            for module in elsewhere(SQL_HOMES)
            for line, literal in literals(module.tree)
            if (found := SQL.search(literal))
        ),
        "A fixed statement goes into the .sql file beside the module, a composed one into one of SQL_HOMES.",
    )


def test_changes_are_written_down_in_one_way() -> None:
    """Whatever writes a record tells of it by the one clause that keeps its snapshot too."""
    places = [each.path for each in modules(SRC) if "insert into change " in each.text]
    assert places == [f"{SRC}/records/change_sql.py"]


def test_transactions_begin_at_the_edge() -> None:
    """One write is one transaction: it begins where a request, an operator or a settlement begins."""
    none_of(
        (
            f"{module.path}:{node.lineno} {ast.unparse(node)[:60]}"
            for module in elsewhere(TRANSACTING)
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and called(node) == "transaction"
        ),
        "Take the transaction as the first argument; only these begin one: " + ", ".join(TRANSACTING),
    )


def waiting(module: Module) -> Iterator[tuple[int, str]]:
    """Give the sleeps of a test module, but for the one in `eventually`, which polls with a bound."""
    polled = {
        id(inner)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "eventually"
        for inner in ast.walk(node)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and called(node) == "sleep" and id(node) not in polled:
            yield node.lineno, ast.unparse(node)


def test_tests_do_not_sleep() -> None:
    """A test waits for what it waits for, and not for a time."""
    none_of(
        (f"{module.path}:{line} {call}" for module in modules("tests") for line, call in waiting(module)),
        "Wait for an event, or poll with a bound through `eventually`.",
    )


def test_tests_replace_nothing_of_ours() -> None:
    """What is tested is the program itself: nothing in it is exchanged for the test."""
    replaced = (
        f"{module.path}:{node.lineno} {ast.unparse(node)[:60]}"
        for module in modules("tests")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and re.fullmatch(r"(mock|mocker|monkeypatch)\.(patch|setattr)\b.*", ast.unparse(node.func))
    )
    none_of(replaced, "Play the outside world with a real server; pass other values as arguments.")
    none_of(
        (
            f"{module.path}:{line} {name}"
            for module in modules("tests")
            for line, name in imported(module.tree)
            if name.startswith(("unittest.mock", "mock.")) or name == "mock"
        ),
        "No mocks: play the outside world with a real server.",
    )
