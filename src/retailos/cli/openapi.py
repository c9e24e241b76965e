"""`retailos openapi`: prints the description of the API for programs, or a Postman collection of it."""

import click

from retailos import __version__
from retailos.api.admin import admin_operations
from retailos.api.openapi import document
from retailos.api.postman import BASE_URL, collection, environment
from retailos.api.routes import public_operations
from retailos.cli.options import write_json
from retailos.resources import RESOURCES

_FORMS = ("openapi", "postman", "postman-environment")


@click.command()
@click.option("--admin", is_flag=True, help="The admin API instead of the public one.")
@click.option(
    "--format", "form", type=click.Choice(_FORMS), default="openapi", show_default=True, help="What to print."
)
@click.option("--base-url", default=BASE_URL, show_default=True, help="The server's URL, for the Postman environment.")
def openapi(admin: bool, form: str, base_url: str) -> None:
    """Print the OpenAPI 3.1 document of the public API, as JSON; no server and no database is needed.

    The same can be had as a Postman collection, with an environment for it.

    \b
    Examples:
      retailos openapi > openapi.json
      retailos openapi --format postman > postman.json
    """
    operations = admin_operations(RESOURCES) if admin else public_operations(RESOURCES)
    title = "RetailOS admin API" if admin else "RetailOS public API"
    made = document(RESOURCES, operations, title=title, server_version=__version__)
    if form == "postman":
        made = collection(made)
    elif form == "postman-environment":
        made = environment(made, base_url)
    write_json(made)
