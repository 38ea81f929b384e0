"""Click-to-dial over HTTP, in Flask: POST a phone and a number, the phone rings, and when it is picked up the number is called.

    python samples/wsgi_service.py         a simulated PBX; ends by itself
    python samples/wsgi_service.py PORT    a real PBX, served by Flask's own threaded server, on PORT of this machine

Needs the extra web, and simulator where it has no arguments.

What it takes from the environment: EPSIGNAL_URL, EPSIGNAL_APP, EPSIGNAL_PASSWORD; EPSIGNAL_PHONES, the hardware ids of the phones that
it may use; SERVICE_TOKEN, which every request has to bring. Whoever has the token calls at your expense: keep it on a server, not in
a web page, and put a reverse proxy with TLS before the service.

    curl -H "Authorization: Bearer $SERVICE_TOKEN" --json '{"hw": "0090334f1a2b", "number": "23"}' http://127.0.0.1:8080/call
    curl -H "Authorization: Bearer $SERVICE_TOKEN" http://127.0.0.1:8080/calls
    curl -H "Authorization: Bearer $SERVICE_TOKEN" -X DELETE http://127.0.0.1:8080/calls/1

In production, from this directory: one process, since each process would be another app at the phones, and no preloading, since the
client would belong to the process that forks:

    waitress-serve --listen=127.0.0.1:8080 --threads=8 --call wsgi_service:create_app
    gunicorn --bind=127.0.0.1:8080 --workers=1 --threads=8 "wsgi_service:create_app()"
"""

from __future__ import annotations

import atexit
import hmac
import json
import os
import re
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Collection

try:
    from flask import Flask, Response, abort, jsonify, request, url_for
    from werkzeug.exceptions import HTTPException
    from werkzeug.serving import make_server
except ImportError as error:
    sys.exit(f"wsgi_service: Flask cannot be used ({error}): pip install 'epsignal-sync[web]'")

import epsignal_sync as eps

TIMEOUT = 5.0
"""Seconds that one request waits for the PBX at most, twice: to attach to the phone, and to start the call."""
KEPT = 100
"""Calls that are remembered after their end."""
LONGEST_BODY = 10_000
"""Bytes."""

# The first that fits; whatever else the library raises is a fault of the gateway.
STATUS = (
    (eps.UsageError, 400), (eps.AttachError, 404), (eps.DetachedError, 409), (eps.CallError, 409), (eps.ReplyTimeout, 504),
    (eps.ConnectionLostError, 503), (eps.ClosedError, 503), (eps.EpSignalError, 502),
)  # fmt: skip


class Calls:
    """The calls that were asked for. Requests run on many threads: what they share is changed with the lock held."""

    def __init__(self, client: eps.Client, phones: Collection[str]) -> None:
        self._client, self._phones = client, frozenset(phones)
        self._lock = threading.Lock()
        self._placed: dict[int, tuple[str, str, eps.Bridge]] = {}
        self._begun: set[str] = set()
        self._last = 0

    def place(self, hw: str, number: str) -> int:
        """Ring a phone for a number, and return the number of that call. Blocks at most for twice TIMEOUT."""
        if hw not in self._phones:
            abort(404, "this service has no such phone: its phones are those in EPSIGNAL_PHONES")
        with self._lock:
            live = {placed_hw for placed_hw, _, bridge in self._placed.values() if not bridge.ended}
            if hw in live | self._begun:
                abort(409, "this phone has a call of this service: hang that up first")
            self._begun.add(hw)
        try:  # not with the lock held: it waits for the PBX
            bridge = self._client.attach(hw, timeout=TIMEOUT).click_to_dial(number, timeout=TIMEOUT)
            with self._lock:
                self._last += 1
                self._placed[self._last] = hw, number, bridge
                ended = [key for key, (_, _, one) in self._placed.items() if one.ended]
                for key in ended[:-KEPT]:
                    del self._placed[key]
                return self._last
        finally:
            with self._lock:
                self._begun.discard(hw)

    def hang_up(self, key: int) -> None:
        """End a call; nothing where it is over."""
        self._find(key)[2].hangup()

    def show(self, key: int) -> dict[str, object]:
        """Return what a call is like."""
        hw, number, bridge = self._find(key)
        phone, *called = [str(call.state) for call in bridge.calls]
        return {
            "id": key, "hw": hw, "number": number, "phone": phone, "called": called[0] if called else None, "connected": bridge.connected,
            "ended": bridge.ended, "cause": bridge.cause.text if bridge.cause is not None else None,
        }  # fmt: skip

    def show_all(self) -> list[dict[str, object]]:
        """Return what the calls are like that are up, and the last ones before them."""
        with self._lock:
            keys = list(self._placed)
        return [self.show(key) for key in keys]

    def _find(self, key: int) -> tuple[str, str, eps.Bridge]:
        with self._lock:
            found = self._placed.get(key)
        if found is None:
            abort(404, "there is no such call, or it was over long ago")
        return found


def wanted_call() -> tuple[str, str]:
    """Return the phone and the number of a request, which may hold anything."""
    try:
        body = request.get_json()
    except RecursionError:
        abort(400, "the JSON is nested too deeply")
    if not isinstance(body, dict) or body.keys() != {"hw", "number"}:
        abort(400, 'the body has to be a JSON object with "hw" and "number", and nothing else')
    hw, number = body["hw"], body["number"]
    if not isinstance(hw, str) or not isinstance(number, str) or not re.fullmatch(r"\+?[0-9*#]{1,32}", number):
        abort(400, '"hw" has to be the hardware id of a phone, and "number" a text of up to 32 digits, * and #')
    return hw, number


def service(client: eps.Client, phones: Collection[str], token: str) -> Flask:
    """Return the WSGI application that calls by a client."""
    app = Flask("wsgi_service")
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY
    calls = Calls(client, phones)

    @app.before_request
    def authenticate() -> None:
        given = request.headers.get("Authorization", "").encode("latin-1")  # the bytes as they came: so WSGI decodes them
        if not hmac.compare_digest(given, b"Bearer " + token.encode()):
            abort(401, "the header Authorization: Bearer, with the token of this service, is missing or wrong")

    @app.post("/call")
    def call() -> Response:
        key = calls.place(*wanted_call())
        answer = jsonify(calls.show(key))
        answer.status_code, answer.location = 201, url_for("hang_up", key=key)
        return answer

    @app.get("/calls")
    def list_calls() -> Response:
        return jsonify(calls.show_all())

    @app.delete("/calls/<int:key>")
    def hang_up(key: int) -> Response:
        calls.hang_up(key)
        return Response(status=204)

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        answer = jsonify(error=error.description)
        answer.status_code = error.code or 500
        if answer.status_code == 401:
            answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    @app.errorhandler(eps.EpSignalError)
    def failed(error: eps.EpSignalError) -> Response:
        answer = jsonify(error=str(error))
        answer.status_code = next(status for kind, status in STATUS if isinstance(error, kind))
        if answer.status_code == 503:
            answer.headers["Retry-After"] = "5"
        return answer

    return app


def create_app() -> Flask:
    """Connect, and return the application: what a WSGI server calls once, in the process that serves. Raises what connect() raises."""
    names = ("EPSIGNAL_URL", "EPSIGNAL_APP", "EPSIGNAL_PASSWORD", "EPSIGNAL_PHONES", "SERVICE_TOKEN")
    if missing := [name for name in names if not os.environ.get(name)]:
        sys.exit(f"wsgi_service: set the environment variables {', '.join(missing)}")
    url, app, password, phones, token = (os.environ[name] for name in names)
    client = eps.connect(url, app=app, password=password)
    atexit.register(client.close)
    return service(client, phones.replace(",", " ").split(), token)


def serve(app: Flask, port: int) -> None:
    """Serve until Ctrl-C, each request on a thread of its own."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def simulate() -> None:
    """Have Alice's phone call Bob by HTTP, look what becomes of it, and hang up."""
    try:
        from epsignal_sync.simulator import SimulatedPBX
    except ImportError as error:
        sys.exit(f"wsgi_service: {error}")

    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="secret")
        alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice")
        bob = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob")
        with eps.connect(pbx.url, app="phones", password="secret", reconnect=False) as client:
            server = make_server("127.0.0.1", 0, service(client, [alice.hw], "token"), threaded=True)
            thread = threading.Thread(target=server.serve_forever, name="server", daemon=True)
            thread.start()

            def ask(method: str, path: str, body: object = None, token: str = "token") -> str:
                data = None if body is None else json.dumps(body).encode()
                headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
                url = f"http://127.0.0.1:{server.server_port}{path}"
                text: str
                try:
                    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=20) as answer:
                        status, text = answer.status, answer.read().decode().strip()
                except urllib.error.HTTPError as error:
                    status, text = error.code, error.read().decode().strip()
                print(method, path, status, text, flush=True)
                return text

            ask("POST", "/call", {"hw": alice.hw, "number": "23"}, token="guessed")
            ask("POST", "/call", {"hw": "nobody's", "number": "23"})
            ask("POST", "/call", {"hw": alice.hw, "number": "23"})
            bob.wait("alert")
            bob.answer()
            while '"connected":true' not in ask("GET", "/calls"):
                time.sleep(0.2)
            ask("DELETE", "/calls/1")
            bob.wait("null")
            server.shutdown()
            thread.join()
            server.server_close()


def main() -> None:
    if len(sys.argv) == 1:
        simulate()
    elif len(sys.argv) == 2 and sys.argv[1].isdecimal() and int(sys.argv[1]) < 65536:
        serve(create_app(), int(sys.argv[1]))
    else:
        sys.exit("usage: wsgi_service.py [PORT], with what it needs in the environment: see its first lines")


if __name__ == "__main__":
    try:
        main()
    except (eps.EpSignalError, OSError) as error:
        sys.exit(f"wsgi_service: {error}")
    except KeyboardInterrupt:
        pass
