"""The demo: everything on one machine, with sample data, and a delivery that is seen to arrive."""
