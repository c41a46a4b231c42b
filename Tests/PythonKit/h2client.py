# SPDX-License-Identifier: Apache-2.0
"""An HTTP/2 client over TCP or TLS."""

import socket

from . import tls
from .h2connection import H2Connection
from .h2frames import request_fields


def connect(port, *, context=None, server_name=None, host="127.0.0.1", source=None, receive_buffer=None, **options):
    """Prior knowledge, or TLS by `context` (which should offer h2). Raises `tls.Refused`."""
    if context is not None:
        transport = tls.connect(port, context, server_name=server_name, host=host, source=source)
    else:
        transport = socket.socket()
        if receive_buffer:
            transport.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            transport.bind(source)
        transport.settimeout(8)
        transport.connect((host, port))
        transport.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return H2Connection(transport, **options)


def get(port, path="/", *, timeout=5.0, context=None, server_name=None, **fields):
    """One request on its own connection."""
    with connect(port, context=context, server_name=server_name) as connection:
        return connection.request(request_fields(path, **fields), timeout=timeout)
