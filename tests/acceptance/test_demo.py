"""`retailos demo` shows a delivery, can be pasted from, and is there again at the next start."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from retailos.demo.caller import Caller
from retailos.demo.fill import AMOUNTS
from retailos.demo.place import Keys, choose, load_keys, save_keys
from retailos.resources import RESOURCES
from tests.acceptance.program import Running, alive, descendants, ran, started, stretched
from tests.child import spawn
from tests.conftest import eventually, soonest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

ARRIVED = r"PUT /v1/retailos/customer/demo-customer  version (\d+), attempt 1"
TOLD = r"The demo wrote demo-customer; its delivery arrived \d+ ms later"


async def screen(running: Running) -> dict[str, str]:
    """What the demo's screen tells, by its labels, once the delivery has arrived."""
    await running.says(ARRIVED)
    await running.says(TOLD)
    return dict(re.findall(r"^  (\w+ \w+|\w+) {2,}(\S+)", running.out, re.MULTILINE))


def callers(told: dict[str, str]) -> tuple[Caller, Caller]:
    """Somebody with the API key and somebody with the admin key that the screen tells."""
    port = int(told["Public API"].split(":")[2].partition("/")[0])
    return Caller(port=port, key=told["API key"]), Caller(port=port, key=told["Admin key"])


async def counts(integrator: Caller) -> dict[str, Any]:
    """How many records there are of each resource."""
    found = {}
    for name in AMOUNTS:
        found[name] = (await integrator.call("GET", f"/v2/public/{RESOURCES[name].collection}?limit=1"))["count"]
    return found


async def pasted(running: Running) -> Any:
    """What the shell says to the command that the screen shows."""
    command = re.search(r"^curl .+?'\n$", running.out, re.MULTILINE | re.DOTALL)
    assert command
    shell = f"{command[0].rstrip()} --silent --show-error --noproxy '*'"
    process = await spawn("/bin/sh", "-c", shell, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    return json.loads(out)


async def test_the_demo_from_start_to_end(data_dir: Path) -> None:
    """One command shows sample data and a delivery, what it prints can be pasted, and Ctrl-C leaves nothing behind."""
    async with started("demo", "--data-dir", str(data_dir), "--port", "0") as running:
        told = await screen(running)
        integrator, operator = callers(told)
        assert await counts(integrator) == {**AMOUNTS, "customer": AMOUNTS["customer"] + 1}
        assert [each["name"] for each in (await operator.call("GET", "/v2/admin/webhooks"))["rows"]] == [
            "demo-receiver"
        ]
        assert (await pasted(running))["result"][0]["outcome"] == "created"
        await running.says(r"PUT /v1/retailos/customer/example-customer-id  version 1, attempt 1 .+ → 200")
        processes = descendants(running.pid)
        assert await running.end(signal.SIGINT) == 0, running.err
        assert not [pid for pid in processes if alive(pid)]
    assert running.err == ""


async def test_other_commands_work_on_the_demo(data_dir: Path) -> None:
    """With the demo's settings, which its screen names, other commands see its webhook and make keys for it."""
    async with started("demo", "--data-dir", str(data_dir), "--port", "0") as running:
        told = await screen(running)
        assert told["Commands"] == f"RETAILOS_CONFIG={data_dir / 'demo.toml'}"
        settings = str(data_dir / "demo.toml")
        tried = await ran("webhook", "test", "1", "--output", "json", config=settings)
        assert (tried.code, json.loads(tried.out)["status"]) == (0, 200), tried.err
        made = await ran("keys", "create", "--name", "mine", "--output", "json", config=settings)
        mine = Caller(port=callers(told)[0].port, key=json.loads(made.out)["key"])
        assert (await mine.call("GET", "/v2/public/customers?limit=1"))["count"]


async def test_a_second_demo_leaves_the_first_its_webhook(data_dir: Path) -> None:
    """Started once more in the same directory, a demo says that one runs there, and takes nothing from it."""
    async with started("demo", "--data-dir", str(data_dir), "--port", "0") as running:
        integrator, _ = callers(await screen(running))
        second = await ran("demo", "--data-dir", str(data_dir), "--port", "0")
        assert (second.code, second.out) == (1, "")
        assert f"A demo runs in {data_dir} already" in second.err
        await integrator.call("PUT", "/v2/public/customers/after-all", {"firstName": "Grace"})
        await running.says(r"PUT /v1/retailos/customer/after-all  version 1, attempt 1 .+ → 200")


async def test_the_demo_is_there_again(data_dir: Path) -> None:
    """Killed outright and started again, it answers soon with the same keys, and makes nothing twice."""
    async with started("demo", "--data-dir", str(data_dir), "--port", "0") as running:
        first = await screen(running)
        processes = descendants(running.pid)
        await running.end(signal.SIGKILL)
        await eventually(lambda: not [pid for pid in processes if alive(pid)])
    versions = count(2)

    async def start() -> float:
        version, begun = next(versions), monotonic()
        async with started("demo", "--data-dir", str(data_dir), "--port", "0") as running:
            # It is printed when the API has answered.
            await running.says(r"Public API")
            took = (monotonic() - begun) / await stretched()
            told = await screen(running)
            assert (await running.says(ARRIVED))[1] == str(version)
            assert [told[name] for name in ("API key", "Admin key")] == [first["API key"], first["Admin key"]]
            assert await counts(callers(told)[0]) == {**AMOUNTS, "customer": AMOUNTS["customer"] + 1}
            assert await running.end(signal.SIGTERM) == 0
        return took

    await start()
    # Beside other tests; that it takes two seconds at the most on a machine of its own is the benchmarks' B14.
    assert await soonest(start, enough=3.0) <= 3.0


def test_keys_are_kept_for_their_owner_alone(tmp_path: Path) -> None:
    """The file with the demo's keys can be read by its owner and by nobody else."""
    place, kept = choose(tmp_path), Keys(api_key="rk_a", admin_key="rk_b", receiver_port=9000)
    save_keys(place, kept)
    assert load_keys(place) == kept
    assert stat.S_IMODE(place.keys.stat().st_mode) == 0o600


def test_without_an_option_the_demo_is_kept_where_it_is_started(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual place is a directory of its own below the one that the demo is started in."""
    monkeypatch.chdir(data_dir.parent)
    assert choose(None).directory == data_dir.parent / ".retailos-demo"
    assert choose(None).reason == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_where_postgresql_can_not_go_another_place_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PostgreSQL's own user can't enter, the demo goes elsewhere, and says why."""
    (tmp_path / "closed").mkdir(mode=0o700)
    monkeypatch.chdir(tmp_path / "closed")
    place = choose(None)
    assert place.directory.parent == Path("/var/lib")
    assert "that user can't enter" in place.reason
