"""Commands count as people do."""

import pytest

from retailos.cli.table import counted


@pytest.mark.parametrize(
    ("count", "kind", "said"),
    [
        (0, "", "0 deliveries"),
        (1, "", "1 delivery"),
        (1, "failed", "1 failed delivery"),
        (2000, "dismissed", "2,000 dismissed deliveries"),
    ],
)
def test_one_is_one_and_many_are_many(count: int, kind: str, said: str) -> None:
    """One delivery is not called deliveries."""
    assert counted(count, kind) == said
