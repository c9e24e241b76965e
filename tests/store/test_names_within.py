"""Names within a record, as the database keeps them: of the row as it is stored, and of no other."""

import asyncpg
import pytest

from retailos.database.pool import Connection

CONTRADICTION = '{"lines": [{"externalOrderLineId": "1"}], "discounts": [{"externalOrderLineId": "2"}]}'
INSERT = """
insert into orders (id, external_id, version, operation, created_at, updated_at, body)
values (gen_random_uuid(), 'o', 1, 'create', now(), now(), $1::text::jsonb)
on conflict (external_id) do update set body = orders.body || excluded.body
"""


async def test_an_insert_that_becomes_an_update_is_looked_at_as_it_ends(scratch: Connection) -> None:
    """A part that names what only the stored rest has is taken; what names nothing is named in the error's detail."""
    await scratch.execute(INSERT, '{"lines": [{"externalOrderLineId": "1"}]}')
    await scratch.execute(INSERT, '{"discounts": [{"externalOrderLineId": "1"}, {"name": "x"}]}')
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await scratch.execute(INSERT, '{"lines": [{"externalOrderLineId": "2"}]}')
    assert caught.value.constraint_name == "orders_discounts_external_order_line_id_in_lines"
    assert caught.value.detail == '["1"]'


async def test_an_order_from_before_the_rule_stays_until_it_is_written_otherwise(scratch: Connection) -> None:
    """What contradicted itself already can still change in other respects, as when its customer is merged."""
    await scratch.execute("alter table orders disable trigger user")
    await scratch.execute(INSERT, CONTRADICTION)
    await scratch.execute("alter table orders enable trigger user")
    await scratch.execute(INSERT, '{"note": "x"}')
    await scratch.execute(INSERT, CONTRADICTION)
    await scratch.execute("update orders set deleted_at = now()")
    with pytest.raises(asyncpg.CheckViolationError):
        async with scratch.transaction():
            await scratch.execute(INSERT, '{"lines": [{"externalOrderLineId": "3"}]}')
    await scratch.execute(INSERT, '{"lines": [{"externalOrderLineId": "2"}]}')
