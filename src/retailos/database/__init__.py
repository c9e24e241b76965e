"""PostgreSQL: the embedded server, the pool of connections, fixed statements, migrations."""
