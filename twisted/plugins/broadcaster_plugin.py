"""What Twisted finds: ``twistd broadcaster``, and the drivers that come with it. Imports nothing heavy."""

from twisted.application.service import ServiceMaker

from broadcaster.plugins import DriverMaker

serviceMaker = ServiceMaker(
    "broadcaster", "broadcaster.tap", "Real-time broadcasting: Pusher Channels, self-hosted.", "broadcaster"
)

memory = DriverMaker("memory", "broadcaster.drivers.memory")
pusher = DriverMaker("pusher", "broadcaster.drivers.pusher")
redis = DriverMaker("redis", "broadcaster.drivers.redis")
