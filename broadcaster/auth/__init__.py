"""Who may hear a channel, and which request may act on an app: decided by signatures with the app's secrets."""
