"""One module per word that ``[driver] name`` may hold."""
