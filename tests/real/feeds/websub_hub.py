"""The WebSub hub of Flask-WebSub, without a broker, and a subscriber. Run by .real/venv's Python.

Prints one line of JSON with the addresses of both, then serves until it is killed. The subscriber is asked
by `POST /subscribe` (topic, hub, secret) and shows what it was sent at `GET /received`: for each delivery the
body and whether its signature was that of the secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import threading
from pathlib import Path

import requests
from celery import Celery
from flask import Flask, request
from flask_websub.hub import Hub, SQLite3HubStorage
from werkzeug.serving import BaseWSGIServer, make_server

received: list[dict[str, object]] = []
secrets: list[str] = []
subscriber = Flask("subscriber")


@subscriber.post("/subscribe")
def subscribe() -> tuple[str, int]:
    secrets.append(request.form["secret"])
    fields = {
        "hub.mode": "subscribe",
        "hub.topic": request.form["topic"],
        "hub.callback": f"{request.host_url}callback/{len(secrets) - 1}",
        "hub.lease_seconds": "600",
        "hub.secret": secrets[-1],
    }
    answer = requests.post(request.form["hub"], data=fields, timeout=10)
    return answer.text, answer.status_code


@subscriber.get("/callback/<int:number>")
def verify(number: int) -> str:
    return request.args["hub.challenge"]


@subscriber.post("/callback/<int:number>")
def deliver(number: int) -> tuple[str, int]:
    body = request.get_data()
    kind, _, signature = request.headers.get("X-Hub-Signature", "").partition("=")
    wanted = hmac.new(secrets[number].encode(), body, getattr(hashlib, kind or "sha256")).hexdigest()
    signed = hmac.compare_digest(signature, wanted)
    received.append({"body": body.decode(), "signed": signed, "link": request.headers.get("Link")})
    return "", 204


@subscriber.get("/received")
def show() -> list[dict[str, object]]:
    return received


def hub(folder: Path) -> Flask:
    app = Flask("hub")
    app.config.update(PUBLISH_SUPPORTED=True)
    celery = Celery("hub")
    celery.conf.update(task_always_eager=True, task_eager_propagates=False)
    storage = SQLite3HubStorage(str(folder / "hub.sqlite"))
    made = Hub(storage, celery, PUBLISH_SUPPORTED=True, BACKOFF_BASE=0.2, MAX_ATTEMPTS=3)
    app.register_blueprint(made.build_blueprint(url_prefix="/hub"))
    return app


def start(app: Flask) -> BaseWSGIServer:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


servers = [start(hub(Path(sys.argv[1]))), start(subscriber)]
addresses = [f"http://127.0.0.1:{server.server_port}" for server in servers]
sys.stdout.write(json.dumps({"hub": f"{addresses[0]}/hub", "subscriber": addresses[1]}) + "\n")
sys.stdout.flush()
sys.stdin.read()
