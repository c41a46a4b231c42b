# SPDX-License-Identifier: Apache-2.0
"""Servers that are not ours, for meshbench to send its load to. Each is a context manager."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
from concurrent import futures

import grpc
import websockets.sync.server

from PythonKit.ports import free_port


def await_port(port, process=None, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process is None or process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, f"nobody listens at {port}"
            time.sleep(0.02)


def end(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


class Nginx:
    """nginx with a plain port, one for HTTP/2 by prior knowledge, and one with TLS (HTTP/2 by ALPN); `lines` are what it
    logged."""

    FIELDS = ("protocol", "host", "path", "user", "length", "reused", "verified", "connection")

    def __init__(self, directory: pathlib.Path, credential=None, client_ca=None, logs=True, cpu=None, requests=1_000_000):
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.port, self.h2_port, self.tls_port = free_port(), free_port(), free_port()
        self.log = directory / "access.log"
        verify = f"ssl_client_certificate {client_ca}; ssl_verify_client on;" if client_ca else ""
        secure = (
            f"server {{ listen 127.0.0.1:{self.tls_port} ssl http2; ssl_certificate {credential.certificate_path};"
            f" ssl_certificate_key {credential.key_path}; ssl_session_cache shared:s:1m; {verify}"
            ' location / { return 200 "hello"; } }'
            if credential
            else ""
        )
        config = directory / "nginx.conf"
        config.write_text(
            f"""
            daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                log_format facts '$server_protocol $host $uri $http_x_user $content_length $ssl_session_reused $ssl_client_verify $connection';
                access_log {f'{self.log} facts' if logs else 'off'};
                client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
                uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
                keepalive_requests {requests}; client_max_body_size 100m;
                server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 "hello"; }} }}
                server {{ listen 127.0.0.1:{self.h2_port} http2; location / {{ return 200 "hello"; }} }}
                {secure}
            }}
            """
        )
        pin = None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})
        self.process = subprocess.Popen([binary, "-c", str(config), "-p", str(directory)], preexec_fn=pin)

    def __enter__(self):
        await_port(self.port, self.process)
        return self

    def __exit__(self, *_):
        end(self.process)

    @property
    def lines(self):
        """What was logged up to now, as dictionaries."""
        return [dict(zip(self.FIELDS, line.split(" "), strict=True)) for line in self.log.read_text().splitlines()]


@contextlib.contextmanager
def nghttpd(directory):
    """HTTP/2 without TLS, by prior knowledge. Yields its port."""
    binary = shutil.which("nghttpd")
    assert binary, "no nghttpd: run Scripts/packages.sh"
    (directory / "index.html").write_text("hello")
    port = free_port()
    process = subprocess.Popen(
        [binary, "--no-tls", "--address=127.0.0.1", "-d", str(directory), str(port)], stdout=subprocess.DEVNULL
    )
    try:
        await_port(port, process)
        yield port
    finally:
        end(process)


@contextlib.contextmanager
def grpc_server():
    """Google's server with every kind of call; `/test.Fail/…` is UNAVAILABLE. Yields its port and what was called."""
    seen = []

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details):
            name = details.method.rpartition("/")[2]
            if details.method.startswith("/test.Fail/"):
                return grpc.unary_unary_rpc_method_handler(lambda _, context: context.abort(grpc.StatusCode.UNAVAILABLE, "no"))
            kinds = {
                "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
                "ClientStream": grpc.stream_unary_rpc_method_handler(self.client_stream),
                "ServerStream": grpc.unary_stream_rpc_method_handler(self.server_stream),
                "Bidi": grpc.stream_stream_rpc_method_handler(self.bidi),
            }
            return kinds.get(name)

        def unary(self, message, _):
            seen.append(("unary", len(message)))
            return message

        def client_stream(self, messages, _):
            sizes = [len(m) for m in messages]
            seen.append(("client-stream", *sizes))
            return b"done"

        def server_stream(self, message, _):
            seen.append(("server-stream", len(message)))
            yield from (message for _ in range(7))

        def bidi(self, messages, _):
            count = 0
            for message in messages:
                count += 1
                yield message
            seen.append(("bidi", count))

    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Handlers()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port, seen
    finally:
        server.stop(None).wait(10)


@contextlib.contextmanager
def websocket_server(handler):
    """`handler(connection)` for each client, by the websockets library. Yields the port."""
    server = websockets.sync.server.serve(handler, "127.0.0.1", 0, max_size=None, compression=None)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        thread.join(10)


@contextlib.contextmanager
def tcp_server(handler):
    """`handler(socket)` in a thread for each client. Yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def serve(client):
        with client, contextlib.suppress(OSError):
            handler(client)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threads.append(threading.Thread(target=serve, args=(client,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(10)
        for thread in threads:
            thread.join(10)
