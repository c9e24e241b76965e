"""`retailos openapi`: prints the description of the API for programs."""

import click

from retailos import __version__
from retailos.api.admin import admin_operations
from retailos.api.openapi import document
from retailos.api.routes import public_operations
from retailos.cli.options import write_json
from retailos.resources import RESOURCES


@click.command()
@click.option("--admin", is_flag=True, help="The admin API instead of the public one.")
def openapi(admin: bool) -> None:
    """Print the OpenAPI 3.1 document of the public API, as JSON; no server and no database is needed.

    \b
    Example:
      retailos openapi > openapi.json
    """
    operations = admin_operations(RESOURCES) if admin else public_operations(RESOURCES)
    title = "RetailOS admin API" if admin else "RetailOS public API"
    write_json(document(RESOURCES, operations, title=title, server_version=__version__))
