"""Error reports: what has failed, counted at a moment, mailed with a link to a file of it."""
