"""What the catalogue is asked beyond its records: which of many prices holds."""
