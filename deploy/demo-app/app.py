"""A checkout service that pretends to have traffic, and tells Prometheus of it.

VERSION labels its series; ERROR_FACTOR and LATENCY_FACTOR make it worse than the others.
"""

import os
import random
from http.server import BaseHTTPRequestHandler, HTTPServer

VERSION = os.environ.get("VERSION", "v1")
ERROR_FACTOR = float(os.environ.get("ERROR_FACTOR", "1"))
LATENCY_FACTOR = float(os.environ.get("LATENCY_FACTOR", "1"))
PORT = int(os.environ.get("PORT", "8000"))

# name: level, spread; the same as those of `serin demo`
SERIES = {
    "checkout_errors_per_second": (0.4 * ERROR_FACTOR, 0.35),
    "checkout_latency_p50_seconds": (0.042, 0.08),
    "checkout_latency_p99_seconds": (0.31 * LATENCY_FACTOR, 0.15),
    "checkout_cpu_seconds_per_second": (1.7, 0.06),
    "checkout_requests_per_second": (120.0, 0.05),
}


def metrics():
    lines = []
    for name, (level, spread) in SERIES.items():
        value = level * (1 + spread * random.uniform(-1, 1))
        lines += [f"# TYPE {name} gauge", f'{name}{{version="{VERSION}"}} {value:.6f}']
    return "\n".join(lines) + "\n"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = metrics().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Scrapes are not worth a line each."""


if __name__ == "__main__":
    HTTPServer(("", PORT), Handler).serve_forever()
