"""Wire formats without I/O: no Twisted, no clock, no sockets, no logging."""
