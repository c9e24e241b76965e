"""The port of the API: found free before anything is started, held, and shared by the processes that serve it."""

import socket
import sys
from contextlib import closing

from retailos.errors import ConfigurationError

#: Connections that may wait to be taken, while a process is busy or has only just begun.
BACKLOG = 2048
#: Where the system deals connections out among all who listen at a port; elsewhere the last one gets them all.
IS_DEALT = sys.platform == "linux"


def hold(host: str, port: int) -> socket.socket:
    """Take a port (0: a free one) for processes of ours to listen at, and keep it from others until it is closed.

    Raises ConfigurationError where somebody listens there already, be it another RetailOS.
    """
    with closing(_bound(host, port, shared=False)) as found:
        port = int(found.getsockname()[1])
    return _bound(host, port, shared=True)


def listen(host: str, port: int, *, shared: bool) -> socket.socket:
    """Listen at a port, together with others of ours where it is shared."""
    listener = _bound(host, port, shared=shared)
    listener.listen(BACKLOG)
    return listener


def address(host: str, port: int, *, scheme: str = "http") -> str:
    """The URL of a server at this host and port."""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(place)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise ConfigurationError(
            f"The API can't listen at {address(host, port)}: {error.strerror}. "
            "End what listens there, or choose another --host or --port."
        ) from error
    return bound
