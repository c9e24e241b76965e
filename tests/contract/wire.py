"""Raw requests as tables: what is no HTTP and must be refused, and what is odd HTTP and must be understood."""

from dataclasses import dataclass
from typing import Final

_BODY: Final = b'{"firstName": "Ada"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Bytes to send, `KEY` standing for the key's header; whether to half-close behind them; the status expected."""

    name: str
    sent: bytes
    status: int = 400
    close: bool = False

    def bytes_for(self, key: str) -> bytes:
        """The bytes with a key in them."""
        return self.sent.replace(b"KEY", f"Authorization: API_KEY {key}".encode())


def put(key: str, body: bytes, path: str = "/customers/wire") -> bytes:
    """A good PUT on a connection that stays open."""
    head = f"PUT /v2/public{path} HTTP/1.1\r\nHost: x\r\nAuthorization: API_KEY {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _put(headers: bytes, body: bytes = _BODY) -> bytes:
    kind = b"Content-Type: application/json\r\n"
    return b"PUT /v2/public/customers/wire HTTP/1.1\r\nHost: x\r\nKEY\r\n" + kind + headers + b"\r\n" + body


def _get(headers: bytes = b"", *, target: bytes = b"/v2/public/customers", version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET " + target + b" " + version + b"\r\nHost: x\r\nKEY\r\n" + headers + b"\r\n"


_LENGTH: Final = b"Content-Length: %d\r\n" % len(_BODY)
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"

REFUSED: Final = (
    Case(name="garbage", sent=b"\x00\x01\x02\xff\xfe garbage\r\n\r\n"),
    Case(name="a line of words", sent=b"hello there\r\n\r\n"),
    Case(name="TLS", sent=bytes.fromhex("160301020001000001fc0303") + b"\x00" * 200, close=True),
    Case(name="HTTP/2", sent=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Case(name="HTTP/2.0", sent=_get(version=b"HTTP/2.0")),
    Case(name="HTTP/2.0, to be kept open", sent=_get(b"Connection: keep-alive\r\n", version=b"HTTP/2.0")),
    Case(name="HTTP/3.0", sent=_get(version=b"HTTP/3.0")),
    Case(name="HTTP/0.9 by name", sent=_get(version=b"HTTP/0.9")),
    Case(name="HTTP/0.9", sent=b"GET /v2/public/customers\r\n\r\n", close=True),
    Case(name="an answer", sent=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    Case(name="no host", sent=b"GET /v2/public/customers HTTP/1.1\r\nKEY\r\nConnection: close\r\n\r\n"),
    Case(name="two hosts", sent=_get(b"Host: y\r\nConnection: close\r\n")),
    Case(name="an asterisk", sent=_get(b"Connection: close\r\n", target=b"*"), status=404),
    Case(name="no path", sent=_get(target=b"http://x")),
    Case(name="no slash", sent=_get(target=b"v2/public/customers")),
    Case(name="white space in the target", sent=_get(target=b"/v2/public/customers?q=a b")),
    Case(name="control in the target", sent=_get(target=b"/v2/public/customers\x01")),
    Case(name="NUL in the target", sent=_get(target=b"/v2/public/customers\x00")),
    Case(name="UTF-8 in the path", sent=_get(b"Connection: close\r\n", target="/v2/public/customers/é".encode())),
    Case(name="UTF-8 in the query", sent=_get(b"Connection: close\r\n", target="/v2/public/customers?q=é".encode())),
    Case(name="a header without colon", sent=_get(b"Authorization\r\n")),
    Case(name="a folded header", sent=_get(b"X-A: a\r\n b\r\n")),
    Case(name="a space before the colon", sent=_get(b"X-A : a\r\n")),
    Case(name="NUL in a header", sent=_get(b"X-A: a\x00b\r\n")),
    Case(name="NUL in a header's name", sent=_get(b"X\x00A: a\r\n")),
    Case(name="a bare carriage return", sent=_get(b"X-A: a\rb\r\n")),
    Case(name="headers without end", sent=_get(b"X-A: " + b"x" * 40_000), status=431),
    Case(name="a header name without end", sent=_get(b"X" * 40_000)[:-4], status=431),
    Case(name="a target without end", sent=b"GET /" + b"x" * 40_000, status=414),
    Case(name="a target of 9 kB", sent=_get(b"Connection: close\r\n", target=b"/" + b"x" * 9_000), status=414),
    Case(name="a target of 80 kB", sent=_get(target=b"/v2/public/customers?q=" + b"x" * 80_000), status=414),
    Case(name="a method without end", sent=b"G" * 40_000),
    Case(name="length short", sent=_put(b"Content-Length: 10\r\n")),
    Case(name="length zero", sent=_put(b"Content-Length: 0\r\n")),
    Case(name="length long", sent=_put(b"Content-Length: 9999\r\n"), close=True),
    Case(name="length negative", sent=_put(b"Content-Length: -1\r\n")),
    Case(name="length of words", sent=_put(b"Content-Length: ten\r\n")),
    Case(name="length hexadecimal", sent=_put(b"Content-Length: 0x10\r\n")),
    Case(name="length with a plus", sent=_put(b"Content-Length: +10\r\n")),
    Case(name="length beyond numbers", sent=_put(b"Content-Length: 99999999999999999999999\r\n")),
    Case(name="length twice, different", sent=_put(_LENGTH + b"Content-Length: 5\r\n")),
    Case(name="length twice, the same", sent=_put(_LENGTH + _LENGTH)),
    Case(name="length as a list", sent=_put(b"Content-Length: 10, 10\r\n")),
    Case(name="length and chunks", sent=_put(_LENGTH + _CHUNKED, b"0\r\n\r\n")),
    Case(name="no length at all", sent=_put(b"Connection: close\r\n", b"")),
    Case(name="ten gigabytes announced", sent=_put(b"Content-Length: 10000000000\r\n", b"{"), status=413),
    Case(
        name="ten gigabytes announced, as curl does",
        sent=_put(b"Content-Length: 10000000000\r\nExpect: 100-continue\r\nConnection: close\r\n", b""),
        status=413,
    ),
    Case(name="chunk size of words", sent=_put(_CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n")),
    Case(name="chunk size negative", sent=_put(_CHUNKED, b"-1\r\n{}\r\n0\r\n\r\n")),
    Case(name="chunk size beyond numbers", sent=_put(_CHUNKED, b"f" * 40 + b"\r\n{}\r\n0\r\n\r\n")),
    Case(name="chunk longer than said", sent=_put(_CHUNKED, b"2\r\n" + _BODY + b"\r\n0\r\n\r\n")),
    Case(name="chunk shorter than said", sent=_put(_CHUNKED, b"ff\r\n" + _BODY + b"\r\n0\r\n\r\n"), close=True),
    Case(name="chunks without end", sent=_put(_CHUNKED, b"14\r\n" + _BODY + b"\r\n"), close=True),
    Case(name="chunks of an unknown coding", sent=_put(b"Transfer-Encoding: gzip\r\n", b"")),
    Case(name="two codings", sent=_put(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n")),
    Case(
        name="chunks too large together", sent=_put(_CHUNKED, (b"10000\r\n" + b" " * 65536 + b"\r\n") * 20), status=413
    ),
    Case(name="chunk extensions without end", sent=_put(_CHUNKED, b"14;" + b"a" * 300_000), status=431),
    Case(name="empty lines without end", sent=b"\r\n" * 20_000, status=431),
    Case(name="trailers without end", sent=_put(_CHUNKED, b"0\r\nX-T: " + b"x" * 300_000), status=431),
    Case(name="too many trailers", sent=_put(_CHUNKED, b"0\r\n" + b"X-T: 1\r\n" * 3_000 + b"\r\n"), status=431),
    Case(name="a body of nothing but an end", sent=_put(_CHUNKED, b"0\r\n\r\n" + b"x")),
)

TAKEN: Final = (
    Case(name="expect", sent=_put(_LENGTH + b"Expect: 100-continue\r\nConnection: close\r\n"), status=200),
    Case(
        name="chunks",
        sent=_put(_CHUNKED + b"Connection: close\r\n", b"14\r\n" + _BODY + b"\r\n0\r\n\r\n"),
        status=200,
    ),
    Case(
        name="chunks with extensions and trailers",
        sent=_put(_CHUNKED + b"Connection: close\r\n", b"14;a=b\r\n" + _BODY + b"\r\n0\r\nX-T: 1\r\n\r\n"),
        status=200,
    ),
    Case(name="HTTP/1.0", sent=_get(version=b"HTTP/1.0"), status=200),
    Case(
        name="HTTP/1.0 without host", sent=b"GET /v2/public/customers HTTP/1.0\r\nKEY\r\n\r\n", status=200, close=False
    ),
    Case(
        name="a whole URL",
        sent=_get(b"Connection: close\r\n", target=b"http://x/v2/public/customers"),
        status=200,
    ),
    Case(
        name="an upgrade", sent=_get(b"Connection: upgrade, close\r\nUpgrade: websocket\r\n"), status=200, close=False
    ),
    Case(
        name="a body in a GET",
        sent=_get(b"Content-Length: 2\r\nConnection: close\r\n") + b"{}",
        status=200,
    ),
    Case(
        name="an empty query",
        sent=_get(b"Connection: close\r\n", target=b"/v2/public/customers?"),
        status=200,
    ),
    Case(name="upper-case header names", sent=_get(b"ACCEPT: */*\r\nCONNECTION: close\r\n"), status=200),
)
