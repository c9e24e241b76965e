"""The HTTP API: routes, endpoints, the envelope, and who may call."""
