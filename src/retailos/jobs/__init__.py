"""Inbound work as its senders know it: jobs and the batches that they came in."""
