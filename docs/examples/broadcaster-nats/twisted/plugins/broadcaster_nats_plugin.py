"""What Twisted finds: driver ``nats``. Imports nothing heavy."""

from broadcaster.plugins import DriverMaker

nats = DriverMaker("nats", "broadcaster_nats")
