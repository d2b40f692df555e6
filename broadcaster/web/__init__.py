"""Everything on sockets, HTTP and Autobahn."""
