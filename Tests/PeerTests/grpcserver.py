# SPDX-License-Identifier: Apache-2.0
"""A gRPC server of plain bytes, in a process of its own: `python grpcserver.py PORT [CERTIFICATE KEY CA]`."""

import asyncio
import sys

import grpc


class _Handlers(grpc.GenericRpcHandler):
    """`/test.Echo/…`, without protobuf: messages are bytes as they are."""

    def __init__(self):
        self.cancelled = 0
        self.open = 0

    def service(self, details):
        name = details.method.rsplit("/", 1)[1]
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Sleep": grpc.unary_unary_rpc_method_handler(self.sleep),
            "Cancelled": grpc.unary_unary_rpc_method_handler(self.count_cancelled),
            "Open": grpc.unary_unary_rpc_method_handler(self.count_open),
            "Metadata": grpc.unary_unary_rpc_method_handler(self.metadata),
            "Upload": grpc.stream_unary_rpc_method_handler(self.upload),
            "Download": grpc.unary_stream_rpc_method_handler(self.download),
            "FailLate": grpc.unary_stream_rpc_method_handler(self.fail_late),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }.get(name)

    async def unary(self, message, _):
        return message

    async def fail(self, message, context):
        """The message says "code details"."""
        code, _, details = message.decode().partition(" ")
        await context.abort(grpc.StatusCode[code], details, (("x-trailing", "t"),))

    async def sleep(self, message, _):
        try:
            await asyncio.sleep(float(message))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return message

    async def count_cancelled(self, *_):
        return str(self.cancelled).encode()

    async def count_open(self, *_):
        return str(self.open).encode()

    async def metadata(self, _, context):
        """What came, one a line; and metadata of its own before and after."""
        await context.send_initial_metadata((("x-initial", "i"), ("x-binary-bin", b"\0\xff\x80")))
        context.set_trailing_metadata((("x-trailing", "t"), ("x-trailing-bin", b"\xfe\0")))
        return "\n".join(f"{key}={value!r}" for key, value in context.invocation_metadata()).encode()

    async def upload(self, messages, _):
        count = size = 0
        async for message in messages:
            count, size = count + 1, size + len(message)
        return f"{count} {size}".encode()

    async def download(self, message, _):
        """The message says "count size"."""
        count, size = map(int, message.split())
        for index in range(count):
            yield index.to_bytes(4, "big") + bytes(size)

    async def fail_late(self, _, context):
        yield b"first"
        yield b"second"
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough: 100 % \u00e9")

    async def chat(self, messages, _):
        self.open += 1
        try:
            async for message in messages:
                yield message
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.open -= 1


async def _serve(port, files):
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", 1 << 26), ("grpc.so_reuseport", 0)]
    )
    server.add_generic_rpc_handlers((_Handlers(),))
    if files:
        certificate, key, authority = (open(path, "rb").read() for path in files)
        server.add_secure_port(
            f"127.0.0.1:{port}", grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)
        )
    else:
        server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2:]))
