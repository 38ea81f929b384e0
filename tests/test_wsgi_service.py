"""The sample that dials by HTTP, run as a stranger runs it, and asked by real requests."""

from __future__ import annotations

import contextlib
import http.client
import json
import pathlib
import runpy
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.simulator import Faults, SimulatedPBX, SimulatedPhone

from .conftest import HW1, HW2, wait_until
from .test_samples import PATIENCE, ROOT, end_of, finish, line_of, start

SAMPLE = str(ROOT / "samples" / "wsgi_service.py")
TOKEN = "t0ken"
Phones = tuple[SimulatedPhone, SimulatedPhone]
Answer = tuple[int, Any]


class Service:
    """The running sample."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self._port = port

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Make one request; returns the status and the JSON of the answer. A body of bytes is sent as it is."""
        status, _, answer = self.ask_fully(method, path, body, **headers)
        return status, answer

    def ask_fully(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, http.client.HTTPMessage, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        try:
            connection.request(method, path, body if isinstance(body, (bytes, type(None))) else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None
        finally:
            connection.close()

    def call(self, hw: str = HW1, number: str = "23") -> Answer:
        return self.ask("POST", "/call", {"hw": hw, "number": number})


@contextlib.contextmanager
def serving(url: str, phones: str = f"{HW1}, {HW2}") -> Iterator[Service]:
    variables = dict(EPSIGNAL_URL=url, EPSIGNAL_APP="phones", EPSIGNAL_PASSWORD="pwd", EPSIGNAL_PHONES=phones, SERVICE_TOKEN=TOKEN)
    process = start("-X", "dev", "-W", "error", SAMPLE, "0", **variables)
    try:
        line = line_of(process)
        assert line.startswith("http://127.0.0.1:"), process.stderr and process.stderr.read()
        yield Service(process, int(line.rpartition(":")[2]))
        process.send_signal(signal.SIGINT)
        code, output, errors = finish(process)  # Flask's server logs each request
        assert (code, output) == (0, "") and "Traceback" not in errors and "Warning" not in errors, errors
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def service(pbx: SimulatedPBX, phones: Phones) -> Iterator[Service]:
    with serving(pbx.url) as service:
        yield service


def all_at_once(*jobs: Callable[[], Answer]) -> list[Answer]:
    """Run jobs on a thread each; returns what they return."""
    results: list[Answer] = []
    threads = [threading.Thread(target=lambda job=job: results.append(job())) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(results) == len(jobs)
    return results


def test_without_arguments() -> None:
    code, output, errors = finish(start("-X", "dev", "-W", "error", SAMPLE))
    assert code == 0 and "Traceback" not in errors, errors
    begin, middle, end = output.splitlines()[:3], output.splitlines()[3:-1], output.splitlines()[-1]
    assert [line.split()[:3] for line in begin] == [["POST", "/call", status] for status in ("401", "404", "201")]
    assert all(line.startswith("GET /calls 200 ") for line in middle) and '"connected":true' in middle[-1]
    assert end == "DELETE /calls/1 204 "


def test_call_from_its_click_to_its_end(service: Service, phones: Phones) -> None:
    _, bob = phones
    status, headers, call = service.ask_fully("POST", "/call", {"hw": HW1, "number": "23"})
    assert (status, headers["Location"], headers["Content-Type"]) == (201, "/calls/1", "application/json")
    assert (call["id"], call["hw"], call["number"], call["ended"]) == (1, HW1, "23", False)
    bob.wait("alert", timeout=PATIENCE)
    bob.answer()
    wait_until(lambda: service.ask("GET", "/calls")[1][0]["connected"])
    for _ in range(2):  # the second time there is nothing left to do
        assert service.ask("DELETE", "/calls/1") == (204, None)
    bob.wait("null", timeout=PATIENCE)
    wait_until(lambda: service.ask("GET", "/calls")[1][0]["ended"])
    bob.busy = True
    assert service.call()[0] == 201
    wait_until(lambda: [one["cause"] for one in service.ask("GET", "/calls")[1]] == ["Normal call clearing", "User busy"])


def test_several_at_once(service: Service, phones: Phones) -> None:
    """Who clicks twice does not have the phone ring twice; another phone is not concerned."""
    answers = all_at_once(*[service.call] * 5, lambda: service.call(HW2, "22"))
    assert sorted(status for status, _ in answers) == [201, 201, 409, 409, 409, 409]
    assert service.call()[0] == 409  # nor does who clicks again later
    calls = service.ask("GET", "/calls")[1]
    assert sorted(one["hw"] for one in calls) == [HW1, HW2]
    deleted = all_at_once(*[lambda key=one["id"]: service.ask("DELETE", f"/calls/{key}") for one in calls] * 2)
    assert {status for status, _ in deleted} == {204}
    wait_until(lambda: all(one["ended"] for one in service.ask("GET", "/calls")[1]))
    assert service.call()[0] == 201  # it may call again


def test_who_has_no_token_gets_nothing(service: Service) -> None:
    for token in ("Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "", "Bearer \xff", "Bearer "):
        for method, path in (("POST", "/call"), ("GET", "/calls"), ("DELETE", "/calls/1"), ("GET", "/else")):
            status, headers, answer = service.ask_fully(method, path, {"hw": HW1, "number": "23"}, Authorization=token)
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer") and "token" in answer["error"], token


def test_token_with_other_letters(client: eps.Client) -> None:
    http = runpy.run_path(SAMPLE)["service"](client, [HW1], "sésame").test_client()
    for token, status in (("sésame", 200), ("sesame", 401)):
        sent = f"Bearer {token}".encode().decode("latin-1")  # as a WSGI server hands it over where curl has sent UTF-8
        assert http.get("/calls", headers={"Authorization": sent}).status_code == status


def test_hostile_requests(service: Service, phones: Phones) -> None:
    numbers: tuple[object, ...] = ("", "bob", "2 3", "23\n", "\u0662\u0663", "2" * 33, "++1", [])
    deep = b'{"hw": ' + b"[" * 4000
    for body in (
        b"", b"{", b"null", b"17", b'"text"', b"[]", b"{}", b"\xff\xfe", deep, b"[" * 9000, b'{"hw": ' + b"9" * 5000 + b"}", b"NaN",
        b'{"hw": 1, "number": "23"}', b'{"hw": "%s", "number": 23}' % HW1.encode(), b'{"hw": "%s"}' % HW1.encode(),
        b'{"hw": "%s", "number": "23", "sip": "bob"}' % HW1.encode(), b'{"hw": null, "number": null}',
        *(json.dumps({"hw": HW1, "number": number}).encode() for number in numbers),
    ):  # fmt: skip
        status, answer = service.ask("POST", "/call", body)
        assert status == 400 and answer["error"], (body, status)
    others: tuple[tuple[str, str, object, int], ...] = (
        ("/call", "POST", b'{"hw": "\\ud800", "number": "23"}', 404), ("/call", "POST", {"hw": "x" * 9000, "number": "23"}, 404),
        ("/call", "POST", b" " * 100_000, 413), ("/call", "GET", None, 405), ("/calls/1", "DELETE", None, 404),
        ("/calls/-1", "DELETE", None, 404), ("/calls/" + "9" * 5000, "DELETE", None, 404), ("/", "GET", None, 404),
    )  # fmt: skip
    for path, method, wrong, expected in others:
        status, answer = service.ask(method, path, wrong)
        assert status == expected and answer["error"], (path, status)
    assert service.ask("POST", "/call", {"hw": HW1, "number": "23"}, Content_Type="text/plain")[0] == 415
    assert service.ask("GET", "/calls") == (200, [])


def test_connection_is_lost_in_the_middle(pbx: SimulatedPBX, phones: Phones) -> None:
    _, bob = phones
    with Faults(pbx.url) as faults, serving(faults.url) as service:
        assert service.call()[0] == 201
        bob.wait("alert", timeout=PATIENCE)
        faults.refuse()
        faults.drop()
        wait_until(lambda: service.ask("GET", "/calls")[1][0]["ended"])
        status, headers, answer = service.ask_fully("POST", "/call", {"hw": HW1, "number": "23"})
        assert (status, headers["Retry-After"]) == (503, "5") and "connection" in answer["error"]
        assert service.ask("DELETE", "/calls/1")[0] == 204
        assert {one[0] for one in all_at_once(service.call, lambda: service.call(HW2, "22"))} == {503}
        faults.heal()
        wait_until(lambda: service.call()[0] == 201)


def test_what_stands_in_the_way(pbx: SimulatedPBX, phones: Phones, client: eps.Client) -> None:
    """Each error of the library has its status, and the library's sentence."""
    build = runpy.run_path(SAMPLE)["service"]
    build.__globals__["TIMEOUT"] = PATIENCE
    pbx.add_phone("away", number="25", sip="away", registered=False)
    http = build(client, [HW1, "nobody", "away", "silent", "\ud800"], TOKEN).test_client()

    def call(hw: str) -> tuple[int, str]:
        answer = http.post("/call", json={"hw": hw, "number": "23"}, headers={"Authorization": f"Bearer {TOKEN}"})
        return answer.status_code, answer.get_json()["error"]

    for hw, status, says in (("nobody", 404, "refused"), ("away", 409, "is not attached"), ("\ud800", 400, "UTF-8")):
        answer = call(hw)
        assert answer[0] == status and says in answer[1], answer
    pbx.unknown_hw = "silent"
    build.__globals__["TIMEOUT"] = 0.1
    code, text = call("silent")
    assert code == 504 and "within" in text
    client.close()
    assert call(HW1) == (503, "the client was closed")


def test_calls_are_forgotten_in_the_end(phones: Phones, client: eps.Client) -> None:
    phones[0].busy = True
    build = runpy.run_path(SAMPLE)["service"]
    build.__globals__["KEPT"] = 2
    http, headers = build(client, [HW1], TOKEN).test_client(), {"Authorization": f"Bearer {TOKEN}"}
    for number in range(1, 6):
        assert http.post("/call", json={"hw": HW1, "number": "23"}, headers=headers).get_json()["id"] == number
        wait_until(lambda: http.get("/calls", headers=headers).get_json()[-1]["ended"])
    left = [one["id"] for one in http.get("/calls", headers=headers).get_json()]
    assert left in ([3, 4, 5], [4, 5])  # the last one may have been over at once


def test_called_wrongly(pbx: SimulatedPBX, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    complete = dict(EPSIGNAL_URL=pbx.url, EPSIGNAL_APP="phones", EPSIGNAL_PASSWORD="wr0ng", EPSIGNAL_PHONES=HW1, SERVICE_TOKEN=TOKEN)
    for arguments, variables, said in (
        (["x"], complete, "usage: "), (["0", "0"], complete, "usage: "), (["65536"], complete, "usage: "),
        (["0"], {**complete, "SERVICE_TOKEN": ""}, "wsgi_service: set "), (["0"], complete, "wsgi_service: "),
    ):  # fmt: skip
        end = end_of(monkeypatch, SAMPLE, *arguments, **variables)
        assert end.startswith(said) and "\n" not in end and "wr0ng" not in end, end
    assert capsys.readouterr() == ("", "")


def test_nothing_happens_when_it_is_imported(tmp_path: pathlib.Path) -> None:
    code = "import sys, threading; sys.path.insert(0, sys.argv[1]); import wsgi_service; print(threading.active_count())"
    assert finish(start("-c", code, str(pathlib.Path(SAMPLE).parent))) == (0, "1\n", "")
