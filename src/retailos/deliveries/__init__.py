"""What each webhook is owed of each record: registered, claimed, settled, counted, and told of afterwards."""
