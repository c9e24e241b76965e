"""The second net under what writes owe: records whose version no register has, written past the program."""

from retailos.declare.resource import Resource


def bypassed(resource: Resource) -> str:
    """Write the statement that looks at so many records ($2) behind an id ($1), and finds what nobody was told is owed.

    Gives the last id, how many there were, and of what is missing the webhook, the record and its version.
    A record that was last written before a webhook was made is not owed to it by that.
    """
    return f"""
with looked as materialized (
    select id, version, updated_at from {resource.table} where id > $1 order by id limit $2
),
missing as (
    select webhook.id as webhook_id, looked.id as record_id, looked.version
    from looked
    join webhook on webhook.resource = '{resource.name}' and webhook.deleted_at is null
        and not webhook.disabled
    left join delivery on delivery.webhook_id = webhook.id and delivery.record_id = looked.id
    where looked.version > delivery.wanted or (delivery.wanted is null and looked.updated_at > webhook.created_at)
)
select webhook_id, record_id, version, whole.last, whole.looked
from (select max(id::text)::uuid as last, count(*) as looked from looked) as whole left join missing on true
order by webhook_id, record_id
"""
