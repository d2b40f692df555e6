"""The course of ``cluster`` with a smaller crowd: whatever goes wrong, all agree with the truth afterwards."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.cluster import Course, cluster, run

pytestmark = pytest.mark.real

LEASE = 3.0


def test_whatever_goes_wrong_all_processes_and_clients_agree_with_the_truth() -> None:
    lines: list[str] = []
    with cluster(LEASE, lines.append) as course:
        asyncio.run(run(course, 300, 20, LEASE, calm=1))
    assert course.findings == [], "\n".join(lines)


def test_a_process_that_was_stopped_is_taken_for_dead_and_comes_back() -> None:
    async def stop_one(course: Course) -> None:
        await course.gather(240)
        await course.pause(0, LEASE + 1)
        course.scatter()

    lines: list[str] = []
    with cluster(LEASE, lines.append) as course:
        asyncio.run(stop_one(course))
    faults = [fault for clients in course.clients for client in clients for fault in client.faults]
    assert course.findings == faults == [], "\n".join(lines)
