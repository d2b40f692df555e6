"""Real-time broadcasting for web applications: Pusher Channels, self-hosted, on Twisted and Autobahn."""
