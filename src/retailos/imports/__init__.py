"""Imports: files of records, taken in whole, then applied in order, each row as a bulk upsert would be."""
