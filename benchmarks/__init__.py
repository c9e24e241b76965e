"""What RetailOS does in a second, each figure beside a ceiling that is measured in the same run."""
