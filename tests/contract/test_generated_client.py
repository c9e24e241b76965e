"""Who generates a client from the document gets one that reads well and works."""

import importlib
import importlib.util
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final, get_type_hints

import msgspec
import pytest

from retailos.declare.field import snake
from retailos.declare.resource import Resource
from retailos.resources import RESOURCES
from tests.child import spawn
from tests.contract.conftest import Api

PACKAGE: Final = "generated_client"
GENERATOR: Final = Path(sys.executable).with_name("openapi-python-client")
#: What a generator calls a type that has no name of its own.
NAMELESS: Final = re.compile(r"_type_\d+|_item_type|_body$|_response_\d+$|_json_")

Import = Callable[[str], Any]


@pytest.fixture(scope="module")
async def generated(shop: Api, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """A client's package, generated from the document as it is served; a warning of the generator fails."""
    directory = tmp_path_factory.mktemp("generated")
    config, target, document = directory / "config.json", directory / PACKAGE, directory / "openapi.json"
    config.write_text('{"post_hooks": []}')
    served = (await shop.get("/openapi.json", key="")).json
    # The generator has no words for files, and says so: they are left to others.
    del served["paths"]["/v2/public/imports"]["post"]
    document.write_bytes(msgspec.json.encode(served))
    options = ("--meta", "none", "--config", config, "--output-path", target, "--fail-on-warning")
    process = await spawn(GENERATOR, "generate", "--path", document, *options, stdout=PIPE, stderr=STDOUT)
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    yield target
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def taken(generated: Path) -> Import:
    """Imports a part of the generated package, or something of it by its last name."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, generated / "__init__.py", submodule_search_locations=[str(generated)]
    )
    assert spec
    assert spec.loader
    package: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)

    def take(path: str) -> Any:
        module, _, name = path.partition(":")
        found = importlib.import_module(f"{PACKAGE}.{module}")
        return getattr(found, name) if name else found

    return take


def client_for(api: Api, taken: Import) -> Any:
    """The generated client, with the key as the document says that it is sent."""
    return taken("client:AuthenticatedClient")(base_url=api.url, token=api.key, prefix="API_KEY")


async def test_a_generated_client_writes_and_reads(shop: Api, taken: Import) -> None:
    """A generated client upserts a record from a typed body, is told of its job, and reads the record back typed."""
    models = taken("models")
    address = models.CustomerAddressInput(city="London", post_code="SE1 8NW")
    body = models.CustomerInput(first_name="Ada", email="ada@example.com", dob="10/12/1915", address=address)
    async with client_for(shop, taken) as client:
        upsert = taken("api.customers.customer_upsert:asyncio")
        written = await upsert("a/generated one", client=client, body=body, mode=models.UpsertMode.REPLACE)
        assert isinstance(written, models.JobQueueMetaListEnvelope)
        [job] = written.result
        assert (job.outcome, job.external_id, job.version) == ("created", "a/generated one", 1)
        found = await taken("api.customers.customer_get_one_by_id:asyncio")(job.resource_id, client=client)
        record = found.result
        assert (record.first_name, record.address.post_code) == ("Ada", "SE1 8NW")
        assert record.created_at == record.updated_at == job.created_at
        missing = await taken("api.customers.customer_get_one_by_external_id:asyncio")("nobody", client=client)
        assert isinstance(missing, models.Error)
        assert missing.error.code == "RESOURCE_NOT_FOUND"


async def test_a_generated_client_pages_through_a_list(shop: Api, taken: Import) -> None:
    """A generated client lists with typed sorts and fields, however it writes lists, and follows the cursor."""
    models = taken("models")
    names = ["Ash", "Birch", "Cedar"]
    async with client_for(shop, taken) as client:
        for name in names:
            await taken("api.territories.territory_upsert:asyncio")(
                name, client=client, body=models.TerritoryInput(name=name)
            )
        fields = [models.TerritoryField.NAME, models.TerritoryField.VERSION]
        sort = [models.TerritorySort.NAME, models.TerritorySort.CREATED_AT_DESCENDING]
        asked = {"client": client, "sort": sort, "fields": fields, "limit": 2}
        get_all = taken("api.territories.territory_get_all:asyncio")
        first = await get_all(**asked)
        second = await get_all(**asked, cursor=first.result.next_cursor)
    assert first.result.count == len(names)
    assert [row.to_dict() for page in (first, second) for row in page.result.rows] == [
        {"name": name, "version": 1} for name in names
    ]
    assert second.result.next_cursor is None


def test_everything_in_a_generated_client_has_a_name(generated: Path) -> None:
    """No type of a generated client is called after its place: all that the document describes has a name."""
    models = [file.stem for file in (generated / "models").glob("*.py")]
    assert len(models) > 10 * len(RESOURCES)
    assert [name for name in models if NAMELESS.search(name)] == []


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=list(RESOURCES))
def test_every_body_of_a_generated_client_is_typed(taken: Import, generated: Path, resource: Resource) -> None:
    """Who writes a record with a generated client is told by types what it holds, with each reference."""
    models, name = taken("models"), resource.schema_name
    api = generated / "api" / resource.title_plural.lower().replace(" ", "_")
    typed = {
        file.stem: get_type_hints(taken(f"api.{api.name}.{file.stem}:asyncio"))["body"]
        for file in api.glob("*.py")
        if "body:" in file.read_text()
    }
    merging = {"MergeInput"} if resource.mergeable else set()
    assert {each.__name__ for each in typed.values()} == {f"{name}Input", f"{name}Patch", f"{name}BulkInput"} | merging
    for reference in resource.references:
        target = RESOURCES[reference.to]
        sent = {target.external_id.name: "x-1"}
        body = getattr(models, f"{name}Patch").from_dict({reference.name: [sent] if reference.ids else sent})
        one = getattr(body, snake(reference.name))
        assert isinstance(one[0] if reference.ids else one, getattr(models, f"{target.schema_name}Reference"))
