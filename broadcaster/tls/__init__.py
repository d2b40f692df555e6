"""TLS of our own: which certificate a client gets, and that a renewed one is used without a restart."""
