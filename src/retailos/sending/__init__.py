"""How what is owed goes out: a worker with a lane for each webhook, the requests made, and the answers read."""
