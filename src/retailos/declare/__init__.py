"""The small language that resources are declared in."""
