"""What makes deliveries owed again, or for the first time, with no change: operations, gone on with step by step."""
