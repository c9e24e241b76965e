"""Writing a record: one PUT makes it, the next finds it or changes it."""

from tests.contract.conftest import Api


async def test_a_put_creates_and_the_same_put_again_changes_nothing(api: Api) -> None:
    """A PUT with an unknown external id creates the record; the same PUT again ends unchanged."""
    first = await api.put("/customers/c-1", {"firstName": "Ada"})
    again = await api.put("/customers/c-1", {"firstName": "Ada", "generalMarketing": False})
    assert [first.status, again.status] == [200, 200]
    assert [first.result[0]["outcome"], again.result[0]["outcome"]] == ["created", "unchanged"]
    assert again.result[0]["version"] == first.result[0]["version"] == 1
