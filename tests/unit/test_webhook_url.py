"""A webhook's URL is one that everybody reads alike, and leads to the host that it seems to."""

import pytest

from retailos.exchanges.addresses import URL_LIMIT, Policy, check_url
from retailos.exchanges.networks import read_networks

PUBLIC = Policy()
LOCAL = Policy(allow=read_networks(["127.0.0.0/8", "::1/128"]))
EVERYTHING = Policy(allow=read_networks(["0.0.0.0/0", "::/0"]), https_only=False)


def codes(url: str, policy: Policy = PUBLIC) -> list[str]:
    """The codes of a URL's problems."""
    problems = check_url(url, policy)
    assert all(problem.path == "/url" and problem.message for problem in problems)
    return [problem.code for problem in problems]


@pytest.mark.parametrize(
    "url",
    [
        "https://your-service.com/v1/retailos/customer/{externalCustomerId}",
        "https://erp.example.com:8443/{territory}/c?id={externalCustomerId}&x=%C3%A4",
        "HTTPS://ERP.EXAMPLE.COM/",
        "https://erp",
        "https://a.b.c.d.example_1.com/@x",
        "https://xn--exmple-cua.com/a(b)'c;d,e~f*g!h$i[j]",
        "https://8.8.8.8/x",
        "https://[2606:4700:4700::1111]:8443/x",
        "https://1.example/x",
        "https://e" + "x" * 62 + ".com/",
    ],
)
def test_good_urls_have_no_problem(url: str) -> None:
    """The guide's URL and all other ordinary ones pass."""
    assert codes(url) == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", ["INVALID_URL"]),
        ("erp.example.com/x", ["INVALID_URL"]),
        ("https:erp.example.com", ["INVALID_URL"]),
        ("//erp.example.com/", ["INVALID_URL"]),
        ("https://erp.example.com/a b", ["INVALID_URL"]),
        ("https://erp.example.com/ä", ["INVALID_URL"]),
        ("https://exämple.com/", ["INVALID_URL"]),
        ("https://\uff11\uff12\uff17.0.0.1/", ["INVALID_URL"]),
        ("https://erp.example.com\\@10.0.0.1/", ["INVALID_URL"]),
        ("https://erp.example.com/\r\nX: y", ["INVALID_URL"]),
        ("https://erp.example.com/\n", ["INVALID_URL"]),
        ("https://erp.example.com/\x00", ["INVALID_URL"]),
        ('https://erp.example.com/"', ["INVALID_URL"]),
        ("\thttps://erp.example.com/", ["INVALID_URL"]),
        ("http://erp.example.com/", ["HTTPS_REQUIRED"]),
        ("ftp://erp.example.com/", ["HTTPS_REQUIRED"]),
        ("file:///etc/passwd", ["HTTPS_REQUIRED", "INVALID_HOST"]),
        ("gopher://127.0.0.1/", ["HTTPS_REQUIRED", "BLOCKED_ADDRESS"]),
        ("https://user:secret@erp.example.com/", ["USER_INFO"]),
        ("https://@erp.example.com/", ["USER_INFO"]),
        ("https://good.example.com@10.0.0.1/", ["BLOCKED_ADDRESS", "USER_INFO"]),
        ("https://erp.example.com/#x", ["FRAGMENT"]),
        ("https://erp.example.com#@10.0.0.1/", ["FRAGMENT"]),
        ("https://{externalCustomerId}.example.com/", ["TEMPLATE_IN_HOST"]),
        ("https://erp.example.com:{id}/", ["TEMPLATE_IN_HOST"]),
        ("{scheme}://erp.example.com/", ["TEMPLATE_IN_HOST"]),
        ("https://{id}@erp.example.com/", ["TEMPLATE_IN_HOST"]),
        ("https://erp.example.com}/", ["TEMPLATE_IN_HOST"]),
        ("https://erp.example.com:0/", ["INVALID_PORT"]),
        ("https://erp.example.com:65536/", ["INVALID_PORT"]),
        ("https://erp.example.com:/", ["INVALID_PORT"]),
        ("https://erp.example.com:-1/", ["INVALID_PORT"]),
        ("https://erp.example.com:443:443/", ["INVALID_PORT"]),
        ("https://erp.example.com:" + "4" * 500 + "/", ["INVALID_PORT"]),
        ("https:///x", ["INVALID_HOST"]),
        ("https://erp.example.com./", ["INVALID_HOST"]),
        ("https://erp..example.com/", ["INVALID_HOST"]),
        ("https://-erp.example.com/", ["INVALID_HOST"]),
        ("https://e" + "x" * 63 + ".com/", ["INVALID_HOST"]),
        ("https://" + "a." * 127 + "com/", ["INVALID_HOST"]),
        ("https://erp%2eexample.com/", ["INVALID_HOST"]),
        ("https://2130706433/", ["INVALID_HOST"]),
        ("https://0x7f000001/", ["INVALID_HOST"]),
        ("https://0x7f.0.0.0x1/", ["INVALID_HOST"]),
        ("https://0177.0.0.1/", ["INVALID_HOST"]),
        ("https://127.1/", ["INVALID_HOST"]),
        ("https://8.8.8.8.8/", ["INVALID_HOST"]),
        ("https://8.8.8.256/", ["INVALID_HOST"]),
        ("https://8.8.8.8./", ["INVALID_HOST"]),
        ("https://127.0.0.1/", ["BLOCKED_ADDRESS"]),
        ("https://[::1]/", ["BLOCKED_ADDRESS"]),
        ("https://[::ffff:10.0.0.1]/", ["BLOCKED_ADDRESS"]),
        ("https://[fe80::1%25eth0]/", ["BLOCKED_ADDRESS"]),
        ("https://[fe80::1%eth0]/", ["BLOCKED_ADDRESS"]),
        ("https://[::1/", ["INVALID_PORT", "INVALID_HOST"]),
        ("https://[::1]x/", ["INVALID_HOST"]),
        ("https://[8.8.8.8]/", ["INVALID_HOST"]),
        ("https://::1/", ["INVALID_PORT", "INVALID_HOST"]),
        ("http://a:b@{x}/", ["TEMPLATE_IN_HOST"]),
        ("http://u@127.0.0.1:99999/#f", ["HTTPS_REQUIRED", "INVALID_PORT", "BLOCKED_ADDRESS", "USER_INFO", "FRAGMENT"]),
    ],
)
def test_bad_urls_have_all_their_problems_named(url: str, expected: list[str]) -> None:
    """Every way to write another host, port or scheme than one seems to is refused, and all problems come at once."""
    assert codes(url) == expected


def test_the_length_of_a_url_is_limited() -> None:
    """A URL of 2,048 characters passes, one more does not."""
    start = "https://erp.example.com/"
    assert codes(start + "x" * (URL_LIMIT - len(start))) == []
    assert codes(start + "x" * (URL_LIMIT - len(start) + 1)) == ["TOO_LONG"]


@pytest.mark.parametrize(
    ("url", "policy", "expected"),
    [
        ("http://127.0.0.1:8080/v1/retailos/customer/{externalCustomerId}", LOCAL, []),
        ("http://[::1]:8080/", LOCAL, []),
        ("http://localhost:8080/", LOCAL, []),
        ("http://localhost:8080/", PUBLIC, ["HTTPS_REQUIRED"]),
        ("http://8.8.8.8/", LOCAL, ["HTTPS_REQUIRED"]),
        ("http://[::ffff:127.0.0.1]/", LOCAL, []),
        ("http://8.8.8.8/", Policy(https_only=False), []),
        ("http://erp.example.com/", Policy(https_only=False), []),
        ("http://10.0.0.1/", Policy(https_only=False), ["BLOCKED_ADDRESS"]),
        ("http://169.254.169.254/latest/meta-data", EVERYTHING, ["BLOCKED_ADDRESS"]),
    ],
)
def test_plain_http_needs_an_allowed_network_or_a_setting(url: str, policy: Policy, expected: list[str]) -> None:
    """The demo's receiver on loopback works without TLS; the internet does not unless it is said so."""
    assert codes(url, policy) == expected
