#!/usr/bin/env python3
"""ClickHouse's engine (chdb) behind as much of its HTTP interface as serin asks: statements in the body, settings and
parameters in the address, exceptions with their code. Every request is a session of its own, in a process of its own.

    clickhouse.py PORT FOLDER
"""

import json
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

RESERVED = ("database", "default_format", "wait_end_of_query", "query")
# What the server of an HTTP interface reads itself.
OF_HTTP = ("cancel_http_readonly_queries_on_client_close",)


def literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def answer(folder, params, sql):
    """The body for a statement; settings first, and readonly last, as it lets nothing be set after it."""
    from chdb import session

    engine = session.Session(folder)
    if "database" in params:
        engine.query(f"USE `{params['database']}`")
    settings = [(name, value) for name, value in params.items() if name not in RESERVED + OF_HTTP]
    for name, value in sorted(settings, key=lambda setting: setting[0] == "readonly"):
        is_number = re.fullmatch(r"[0-9.]+", value) and not name.startswith("param_")
        engine.query(f"SET {name} = {value if is_number else literal(value)}")
    return engine.query(sql, params.get("default_format", "TabSeparated")).bytes()


class Front(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(200, b"Ok.\n", None)

    def do_POST(self):
        params = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        sql = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if self.headers.get("x-clickhouse-user", "default") != "default":
            return self.reply(403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", "516")
        asked = json.dumps({"folder": sys.argv[2], "params": params, "sql": sql})
        done = subprocess.run([sys.executable, __file__], input=asked.encode(), capture_output=True, timeout=60)
        body = done.stdout
        if done.returncode == 0:
            return self.reply(200, body, None)
        code = re.search(rb"Code: ([0-9]+)", body)
        self.reply(500, body + b"\n", code and code.group(1).decode())

    def reply(self, status, body, code):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if len(sys.argv) == 1:
    try:
        sys.stdout.buffer.write(answer(**json.load(sys.stdin)))
    except Exception as error:
        sys.exit(sys.stdout.write(str(error)))
else:
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Front).serve_forever()
