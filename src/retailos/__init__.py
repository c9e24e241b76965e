"""RetailOS: a record is written, and whoever asked is told."""

__version__ = "0.1.0"
