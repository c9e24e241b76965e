"""Lets the command line be run as `python -m retailos.cli`, as the supervisor does."""

from retailos.cli import main

main()
