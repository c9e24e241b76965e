"""Where a webhook's secrets go: what is kept goes to no host but those that it was given for.

Whoever may change a webhook may not see its secrets, and must not learn them by having them sent somewhere else.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from retailos.errors import Problem
from retailos.exchanges.addresses import origin_of
from retailos.webhooks.hidden import HIDDEN, Hiding
from retailos.webhooks.webhook import SETTINGS

#: Secrets that whoever gives tokens is shown too; and a token goes where the webhook sends to.
_OF_TOKENS: Final = frozenset({"credentials", "clientKey"})


def redirected(values: Mapping[str, Any], body: Mapping[str, Any], kept: Mapping[str, Any]) -> Iterator[Problem]:
    """Every secret that a change keeps, without saying it anew, and that would go where it did not go before.

    `values` are what a request's `body` makes of the webhook that is `kept`, and both are as `read_webhook` has them.
    """
    for name, field in SETTINGS.items():
        if isinstance(field.kind, Hiding) and kept[name] is not None and values[name] is not None:
            elsewhere = _origins(name, values) - _origins(name, kept)
            said = body[name] if name in body else field.kind.hidden(kept[name])
            for at in _still_hidden(said, f"/{name}") if elsewhere else ():
                yield Problem(at, "HIDDEN_VALUE", _message(elsewhere))


def _message(elsewhere: set[str]) -> str:
    to = " and ".join(sorted(elsewhere))
    return f"expected the value anew, since {to} would get what was given for another host; send it, or take it away"


def _origins(name: str, values: Mapping[str, Any]) -> set[str]:
    """The schemes, hosts and ports that a secret is used with."""
    urls = [values["url"]]
    if name in _OF_TOKENS and (token_url := (values["credentials"] or {}).get("tokenUrl")):
        urls.append(token_url)
    return {"{}://{}:{}".format(*origin_of(url)) for url in urls}


def _still_hidden(said: Any, at: str) -> Iterator[str]:
    """Where a value stands hidden, as JSON pointers."""
    if said == HIDDEN:
        yield at
    elif isinstance(said, Mapping):
        for name, each in said.items():
            yield from _still_hidden(each, f"{at}/{name}")
