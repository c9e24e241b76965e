"""What stands behind a body of chunks is no header: nothing is decided by it, and it has a limit."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network

import pytest

from retailos.settings import Settings
from tests.conftest import PATIENCE_SECONDS
from tests.contract.conftest import Api, Response, check_envelope, read, serving

INSIDE, OUTSIDE = "203.0.113.7", "198.51.100.9"
BODY = b'14\r\n{"firstName": "Ada"}\r\n0\r\n'
#: What trailers may hold; a line counts with four bytes for its colon, its blank and its end.
MOST = 16 * 1024
PIECES = pytest.mark.parametrize("pieces", [1, 2], ids=["in one piece", "in two"])


@pytest.fixture
async def guarded(settings: Settings, database: str) -> AsyncIterator[Api]:
    """The API behind a proxy that is trusted, for callers of one network."""
    proxies, callers = (ip_network("127.0.0.0/8"),), (ip_network("203.0.113.0/24"),)
    async with serving(replace(settings, trusted_proxies=proxies, caller_networks=callers), database) as running:
        yield running


def head(api: Api, *headers: str, key: bool = True) -> bytes:
    """The head of a PUT of chunks."""
    given = ["Host: x", "Content-Type: application/json", "Transfer-Encoding: chunked", "Connection: close", *headers]
    given += [f"Authorization: API_KEY {api.key}"] if key else []
    return "\r\n".join(["PUT /v2/public/customers/trailing HTTP/1.1", *given, "", ""]).encode()


async def put(api: Api, pieces: int, *headers: str, trailer: str, key: bool = True) -> Response:
    """Send chunks with a trailer: with their head, or when the server says that it has read that."""
    rest = BODY + f"{trailer}\r\n\r\n".encode()
    if pieces == 1:
        return read(await api.raw(head(api, *headers, key=key) + rest))
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        writer.write(head(api, "Expect: 100-continue", *headers, key=key))
        async with asyncio.timeout(PATIENCE_SECONDS):
            came = await reader.readuntil(b"\r\n\r\n")
            # Who is refused by his head alone is not asked for the rest.
            if came.startswith(b"HTTP/1.1 100"):
                writer.write(rest)
                came = b""
            return read(came + await reader.read())
    finally:
        writer.close()


@PIECES
async def test_a_trailer_does_not_say_where_a_request_comes_from(guarded: Api, pieces: int) -> None:
    """X-Forwarded-For counts where the proxy puts it, and not where its caller can."""
    there, here = f"X-Forwarded-For: {OUTSIDE}", f"X-Forwarded-For: {INSIDE}"
    assert check_envelope(await put(guarded, pieces, here, trailer="X-A: b"), 200)
    assert check_envelope(await put(guarded, pieces, there, trailer=here), 403)
    assert check_envelope(await put(guarded, pieces, here, trailer=there), 200)


@PIECES
async def test_a_trailer_is_no_key(shop: Api, pieces: int) -> None:
    """A key behind the body opens nothing."""
    trailer = f"Authorization: API_KEY {shop.key}"
    assert check_envelope(await put(shop, pieces, trailer=trailer, key=False), 401)


@PIECES
@pytest.mark.parametrize(
    "trailer",
    ['If-Match: "99"', "If-None-Match: *", "Host: y", "Content-Encoding: gzip", "Prefer: respond-async", "Expect: x"],
)
async def test_a_trailer_asks_for_nothing(shop: Api, pieces: int, trailer: str) -> None:
    """Conditions, wishes and claims behind the body are not heeded."""
    await shop.put("/customers/trailing", {"firstName": "Ada"})
    assert check_envelope(await put(shop, pieces, trailer=trailer), 200)


def lines(size: int) -> bytes:
    """Trailers that count as so many bytes, the last of them."""
    return b"X-A: %b\r\n" % (b"a" * 121) * (size // 128)


async def test_trailers_have_a_limit(shop: Api) -> None:
    """As many bytes of trailers as of headers are read past; one line more is refused, and nothing written."""
    answer = read(await shop.raw(head(shop) + BODY + lines(MOST) + b"\r\n"))
    assert check_envelope(answer, 200)
    answer = read(await shop.raw(head(shop, 'If-Match: "1"') + BODY + lines(MOST + 128) + b"\r\n"))
    assert check_envelope(answer, 431)["error"]["code"] == "HEADERS_TOO_LARGE"
    assert (await shop.get("/customers/external/trailing")).result["version"] == 1


@pytest.mark.parametrize("endless", [b"X-A: aaaaaaaa\r\n", b"a"], ids=["lines", "one line"])
@pytest.mark.parametrize("key", [True, False], ids=["with a key", "without"])
async def test_trailers_without_end_are_not_kept(shop: Api, endless: bytes, key: bool) -> None:
    """Who sends trailers for ever is cut off, before his answer or behind it, when he has sent little."""
    _, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    sent, piece = 0, endless * (65536 // len(endless))
    writer.write(head(shop, key=key).replace(b"close", b"keep-alive") + BODY + b"X-A: ")
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sent < 64 * 1024 * 1024:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
    except (ConnectionResetError, BrokenPipeError):
        pass
    finally:
        writer.close()
    # What lies in the buffers of both sides' sockets was sent, too.
    assert sent < 16 * 1024 * 1024
