"""What every test gets: no thread may be left behind, and the usual PBX, phones and client."""

from __future__ import annotations

import gc
import os
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import trustme

import epsignal_sync as eps
from epsignal_sync.registry import EventSource
from epsignal_sync.relay import backoff
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .peer import Peer

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("default")

PATIENCE = 20.0
"""Seconds that a test waits for what has to come; only a failing test ever waits so long."""

HW1, HW2 = "0090334f1a2b", "0090334f1a2c"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: the tests wait a good deal for sockets, timers and programs."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_not_ignored() -> None:
    """A shell without job control starts what runs in the background with SIGINT ignored, and Python leaves it so."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def what_is_there_before_the_tests_is_no_garbage() -> None:
    """The modules and the tests themselves are most of what there is: to look through them again at each collection takes minutes."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + PATIENCE
    while left := [thread for thread in threading.enumerate() if thread not in before]:
        for thread in left:
            thread.join(0.1)
        assert time.monotonic() < deadline, f"threads are left: {left}"


@pytest.fixture(autouse=True)
def interceptors_have_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a deadline of its own an interceptor gets more than the usual one, which a busy machine may miss."""
    defaults = EventSource.intercept.__kwdefaults__
    assert defaults is not None and defaults["deadline"] == 0.25
    monkeypatch.setitem(defaults, "deadline", 2.0)


def open_descriptors() -> int:
    """Return how many files and sockets this process has open, after collecting garbage."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def wait_until(condition: Callable[[], Any]) -> None:
    """Wait for what has no event of its own."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def other_server_context() -> ssl.SSLContext:
    """A server whose certificate nobody trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def quick_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The delays between two attempts to connect are short; what they are stands in relay/test_backoff.py."""
    monkeypatch.setattr(backoff, "FIRST_DELAY", 0.02)
    monkeypatch.setattr(backoff, "LONGEST_DELAY", 0.05)


@pytest.fixture
def pbx() -> Iterator[SimulatedPBX]:
    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="pwd")
        yield pbx


@pytest.fixture
def phones(pbx: SimulatedPBX) -> tuple[SimulatedPhone, SimulatedPhone]:
    return (
        pbx.add_phone(HW1, number="22", sip="alice", name="Alice Ä", kind="h323"),
        pbx.add_phone(HW2, number="23", sip="bob", name="Bob", kind="sip"),
    )


@pytest.fixture
def client(pbx: SimulatedPBX, phones: tuple[SimulatedPhone, SimulatedPhone]) -> Iterator[eps.Client]:
    with eps.connect(pbx.url, app="phones", password="pwd") as client:
        yield client


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture
def peer_client(peer: Peer) -> Iterator[eps.Client]:
    """A client that is logged in at a scripted peer."""
    with peer.client() as client:
        yield client
        peer.drop()  # or close() would wait for the answer to its close frame
