"""Records: how they are read from a request, asked for, written and told of."""
