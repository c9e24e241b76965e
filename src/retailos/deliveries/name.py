"""What a delivery is called: it is one webhook's, of one record."""

from uuid import UUID


def delivery_id(webhook_id: int, record_id: UUID) -> str:
    """The name by which a delivery is asked for, and which goes out with it."""
    return f"{webhook_id}-{record_id}"
