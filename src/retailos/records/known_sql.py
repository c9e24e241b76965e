"""Statements that hold the records of a resource against what one webhook knows of them."""

from retailos.declare.resource import Resource


def known_to(resource: Resource) -> str:
    """Write the statement that looks at records as a webhook ($1) knows them: behind $2, made by $3, $4 of them.

    Gives each one's id and version, whether it lives, and the version that the webhook is owed; null: it is owed none.
    """
    return f"""
select r.id, r.version, r.deleted_at is null as lives, delivery.wanted
from (
    select id, version, deleted_at from {resource.table} where id > $2 and created_at <= $3 order by id limit $4
) as r
left join delivery on delivery.webhook_id = $1 and delivery.record_id = r.id
order by r.id
"""


def count_living(resource: Resource) -> str:
    """Write the statement that tells how many living records there are, without counting them."""
    return f"select coalesce(sum(delta), 0)::bigint from tally where resource = '{resource.name}'"


def count_untold(resource: Resource) -> str:
    """Write the statement that counts the living records of which a webhook ($1) was never owed anything."""
    return f"""
select count(*) from {resource.table} as r
where r.deleted_at is null
    and not exists (select from delivery where delivery.webhook_id = $1 and delivery.record_id = r.id)
"""


def newest(resource: Resource) -> str:
    """Write the statement that gives the living record that changed last."""
    return f"select id from {resource.table} where deleted_at is null order by updated_at desc, id desc limit 1"
