"""The standing order: a webhook, and what may be said in it of what goes out, to whom, how, and how often."""
