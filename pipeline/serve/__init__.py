"""`public/` over HTTP, with the health of the pipeline behind it.

- `address`: from HOST:PORT to a listening socket
- `files`: what may be served, each version of a file read once and whole
- `kinds`: what a file is, by its name and its bytes; the hub and self links a feed carries
- `conditions`: pure: validators, ranges and encodings, as HTTP has them (RFC 9110)
- `answers`: from a version and a request to a response
- `encoded`, `bodies`: compressed bodies, made once; bodies that leave in pieces
- `watch`: what is known of the ledger and of the daemon, as snapshots
- `health`: a snapshot as `/healthz` and `/metrics` tell it
- `site`: the application: limits, headers, what is answered by whom
- `server`: uvicorn in a thread, with deadlines for slow clients

What must stay true: nothing outside `public/` leaves; a reader never gets half a file, or the head of one
version with the body of another; a request never touches the ledger. The same files can be served by any
other web server: nothing here is needed to read a feed.
"""

from __future__ import annotations

from pipeline.serve.address import Address, parse
from pipeline.serve.server import Serving, serving, signals_held
from pipeline.serve.watch import Watch

__all__ = ["Address", "Serving", "Watch", "parse", "serving", "signals_held"]
