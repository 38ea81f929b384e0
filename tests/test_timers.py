from __future__ import annotations

import threading

from epsignal_sync.timers import Timers


def test_jobs_run_in_the_order_of_their_times() -> None:
    timers, ran = Timers(), list[tuple[str, float]]()
    for name, at in (("late", 3.0), ("early", 1.0), ("also early", 1.0)):
        timers.at(at, lambda now, name=name: ran.append((name, now)))  # type: ignore[misc]
    assert timers.run(0.5) == 1.0 and not ran
    assert timers.run(1.5) == 3.0 and ran == [("early", 1.5), ("also early", 1.5)]
    assert timers.run(4.0) is None and ran[-1] == ("late", 4.0)
    assert Timers().run(0.0) is None


def test_job_that_wants_to_run_again() -> None:
    timers, ran = Timers(), list[float]()

    def again(now: float) -> None:
        ran.append(now)
        if len(ran) < 3:
            timers.at(now + 1.0, again)

    timers.at(1.0, again)
    assert [timers.run(now) for now in (1.0, 2.0, 3.0)] == [2.0, 3.0, None] and ran == [1.0, 2.0, 3.0]


def test_job_that_another_thread_puts_in_while_one_runs() -> None:
    timers, done = Timers(), []

    def put() -> None:
        timers.at(0, lambda now: done.append("other"))

    def job(now: float) -> None:
        thread = threading.Thread(target=put)
        thread.start()
        thread.join()
        done.append("first")

    timers.at(1, job)
    assert timers.run(1) is None
    assert done == ["first", "other"]
