"""What a request's body says of a webhook, over what is kept of it: read whole, with every problem at once."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from retailos.declare.kind import expected, storable
from retailos.declare.object import read_object
from retailos.declare.resource import Resources
from retailos.errors import Problem
from retailos.exchanges.addresses import Policy
from retailos.webhooks import certificates
from retailos.webhooks.certificates import certificate_problems
from retailos.webhooks.credentials import credential_problems
from retailos.webhooks.hidden import Hiding
from retailos.webhooks.requeue_policy import requeue_problems
from retailos.webhooks.retry import retry_problems
from retailos.webhooks.scope import scope_problems
from retailos.webhooks.shape import shape_problems
from retailos.webhooks.url import batch_problems, url_problems
from retailos.webhooks.webhook import SETTINGS, webhook_fields


def read_webhook(
    resources: Resources, body: Any, policy: Policy, kept: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[Problem]]:
    """Read a webhook from a request's body, over what is `kept` of it where it exists; give it and every problem.

    A secret that is kept and could not be opened stands hidden in `kept`; it is a problem only where it is referred to.
    """
    if type(body) is not dict:
        return {}, [expected("an object with the fields of a webhook", body, "")]
    values, problems = read_object(webhook_fields(resources), "webhook", dict(kept or {}) | body)
    wrong = {problem.path[1:].split("/")[0] for problem in problems}
    if not wrong & {"url", "resource"}:
        problems.extend(url_problems(resources, values, policy))
        if "batchSize" not in wrong and values["batchSize"] > 1:
            problems.extend(batch_problems(values))
    if not wrong & {"retryDelay", "retryDelayMax"}:
        problems.extend(retry_problems(values, body))
    if "requeueEvery" not in wrong:
        problems.extend(requeue_problems(values))
    if not wrong & {"resource", "fields"}:
        problems.extend(shape_problems(resources[values["resource"]], values))
    if not wrong & {"resource", "where", "whenChanged"}:
        problems.extend(scope_problems(resources, resources[values["resource"]], values))
    _restore(values, body, kept or {}, wrong, problems)
    if not wrong & {"credentials", "headers"} and values["credentials"]:
        problems.extend(credential_problems(values["credentials"], values["headers"], policy))
    if not wrong & {each.name for each in certificates.FIELDS}:
        problems.extend(certificate_problems(values, body, datetime.now(UTC)))
    if "name" not in wrong and not (storable(values["name"]) and values["name"].isprintable()):
        problems.append(Problem("/name", "INVALID_NAME", "expected a name of printable characters"))
    return values, problems


def _restore(
    values: dict[str, Any], body: Mapping[str, Any], kept: Mapping[str, Any], wrong: set[str], problems: list[Problem]
) -> None:
    """Put what is kept where a secret was sent back as it is shown: hidden."""
    for name, field in SETTINGS.items():
        # What is not said anew may be hidden still: it stays as it is kept.
        said_anew = name not in wrong and values[name] is not None and (name in body or not kept)
        if isinstance(field.kind, Hiding) and said_anew:
            values[name] = field.kind.restored(values[name], kept.get(name), f"/{name}", problems)
