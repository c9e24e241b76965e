"""The demo from start to end: everything is started, told of on one screen, and stopped when the block is left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from shlex import quote

from rich.console import Console

from retailos import app, keys
from retailos.api.port import address
from retailos.database.pool import Pool
from retailos.demo.caller import Caller
from retailos.demo.fill import fill
from retailos.demo.place import ENVIRONMENT, Keys, Place, free_port, held, load_keys, prepare, save_keys
from retailos.demo.story import OWN, Deliveries, add_webhook, curl, write_own
from retailos.settings import Settings, load
from retailos.supervisor import Program, Supervisor

API_PORT, RECEIVER_PORT = 8080, 9000


async def show(place: Place, port: int | None) -> None:
    """Show the demo until cancelled; `port` is the API's, None for the usual one or any that is free."""
    console = Console(soft_wrap=True, highlight=False)
    if place.reason:
        console.print(f"[yellow]{place.reason}[/]\nThe demo uses {place.directory} instead.\n")
    prepare(place)
    with held(place):
        await _held(place, port, console)


async def _held(place: Place, port: int | None, console: Console) -> None:
    deliveries = Deliveries()
    async with _everything(place, port, console, deliveries) as (api_port, kept):
        await add_webhook(Caller(port=api_port, key=kept.admin_key), kept.receiver_port)
        _tell(console, place, api_port, kept)
        await _deliver(console, Caller(port=api_port, key=kept.api_key), deliveries)
        await asyncio.Event().wait()


@asynccontextmanager
async def _everything(
    place: Place, port: int | None, console: Console, deliveries: Deliveries
) -> AsyncIterator[tuple[int, Keys]]:
    """Start it all; the port of the API, and what the demo keeps."""
    kept = load_keys(place)
    receiver_port = free_port(kept.receiver_port if kept else RECEIVER_PORT)
    settings = load({}, place.settings, port=free_port(API_PORT) if port is None else port, log_level="warning")
    with app.held_port(settings) as settings:
        if kept is None:
            console.print("Making a database with sample records, which takes some seconds …\n")
        async with app.kept_database(settings) as database, Supervisor.open() as supervisor:
            starting = asyncio.gather(
                app.start_roles(supervisor, database.settings, app.ROLES),
                supervisor.start(_receiver(database.settings, receiver_port, deliveries)),
            )
            async with app.open_pool(database.url, "demo") as pool:
                kept = await _content(pool, place, kept, receiver_port)
            await starting
            yield settings.port, kept


def _receiver(settings: Settings, port: int, deliveries: Deliveries) -> Program:
    return Program(
        role="receiver", arguments=("receive",), settings=replace(settings, port=port), heard=deliveries.heard
    )


async def _content(pool: Pool, place: Place, kept: Keys | None, receiver_port: int) -> Keys:
    """What the demo keeps: as it was, or new where it was lost, with the sample records to it."""
    ring = keys.KeyRing(pool, None, ENVIRONMENT)
    if kept and await ring.recognise(kept.api_key) and await ring.recognise(kept.admin_key):
        now = Keys(api_key=kept.api_key, admin_key=kept.admin_key, receiver_port=receiver_port)
    else:
        await fill(pool)
        api_key = await _new_key(pool, "demo", keys.DEFAULT_SCOPES)
        admin_key = await _new_key(pool, "demo operator", (keys.ADMIN,))
        now = Keys(api_key=api_key, admin_key=admin_key, receiver_port=receiver_port)
    if now != kept:
        save_keys(place, now)
    return now


async def _new_key(pool: Pool, name: str, scopes: tuple[str, ...]) -> str:
    return (await keys.create(pool, name=name, environment=ENVIRONMENT, scopes=scopes, pepper=None)).key


def _tell(console: Console, place: Place, port: int, kept: Keys) -> None:
    at = address("127.0.0.1", port)
    lines = {
        "Public API": f"{at}/v2/public",
        "Swagger UI": f"{at}/v2/public/docs",
        "Admin API": f"{at}/v2/admin/docs",
        "Receiver": f"{address('127.0.0.1', kept.receiver_port)}, which a webhook tells of every customer",
        "API key": kept.api_key,
        "Admin key": kept.admin_key,
        "Data": str(place.directory),
        "Commands": f"RETAILOS_CONFIG={quote(str(place.settings))} retailos webhook list",
    }
    console.print("[bold]RetailOS[/]  a record is written, and whoever asked is told\n")
    for label, text in lines.items():
        console.print(f"  [dim]{label:<11}[/] {text}")
    console.print("\nWrite a customer, and see it delivered:\n")
    console.print(curl(port, kept.api_key), style="cyan", markup=False)
    console.print("\nDelivered to the receiver [dim](Ctrl-C stops everything)[/]:\n")


async def _deliver(console: Console, integrator: Caller, deliveries: Deliveries) -> None:
    try:
        seconds = await write_own(integrator, deliveries)
    except TimeoutError:
        console.print(f"[red]✗[/] The demo wrote {OWN}, and no delivery of it has arrived; see the messages above.")
    else:
        console.print(f"[green]✓[/] The demo wrote {OWN}; its delivery arrived {seconds * 1000:.0f} ms later.")
