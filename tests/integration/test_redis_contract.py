"""The driver of Redis, held to what every driver is held to, on a real one."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from broadcaster.drivers.redis import make
from broadcaster.drivers.redis.shared.driver import SharingDriver
from broadcaster.testing import MembershipContract
from tests.driving import QUICK
from tests.redis import Redis
from tests.sockets import reactor

pytestmark = pytest.mark.real


class TestRedis(MembershipContract, TestCase):
    """All processes of a test are on one namespace of the one Redis."""

    redis: Redis

    @classmethod
    def setUpClass(cls) -> None:
        cls.redis = Redis()
        cls.redis.__enter__()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.redis.__exit__()

    def setUp(self) -> None:
        self.options = {**QUICK, "url": self.redis.url, "namespace": token_hex(4), "lease_seconds": 2.0}

    def make_driver(self) -> SharingDriver:
        return make(reactor, self.options)

    def die(self, driver: SharingDriver) -> Deferred[Any]:
        driver._lease._beating.stop()
        driver._sink = None
        return super(SharingDriver, driver).stop()
