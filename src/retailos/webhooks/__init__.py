"""The outbound law: what each webhook is owed of each record, how it is sent, and what the answer means."""
