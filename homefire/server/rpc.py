"""gRPC beside HTTP, on the daemon's own event loop, loaded only where `grpc_port` is set (extra `grpc`).

    call ──> guard (no browser, one key) ──> authorise by `RIGHTS_GRPC` ──> admitted ──> method
                                                                              └── its key ends: UNAUTHENTICATED, the slot is free

Promises: it listens where HTTP does, by the same rules and with the same certificate; a method that is not in the table needs a
key and is refused; every error has our code in its details and in the trailing metadata `homefire-code`; a deadline or a cancel
ends what the call had begun.
Does not cover: what the methods do (`rpc_services.py`), a unix socket, cookies: the page does not come here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

# The daemon's children are spawned without gRPC's handlers of forks, which would warn at each of them.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
try:
    import grpc
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection
except ImportError:
    from homefire.errors import PackageMissing

    raise PackageMissing("gRPC needs the package 'grpcio'.", "Install it: pip install 'homefire[grpc]'") from None

from homefire.errors import BadKey, HomefireError, InternalError, OriginRefused, PortInUse
from homefire.server.authority import Authority
from homefire.server.listen import Listening
from homefire.server.rpc_rights import LIVENESS, RIGHTS_GRPC, code_of, needs_of
from homefire.server.rpc_services import Services
from homefire.server.scopes import Principal

log = logging.getLogger(__name__)

HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
# Beyond the largest chat, for the message around it.
AROUND = 64 * 1024
MOST_STREAMS, METADATA_BYTES, PING_MS = 256, 16 * 1024, 20_000
HEALTH_SECONDS = 1.0
AGAIN_SECONDS = 0.4


class Rpc:
    """The server. `unready` gives the reasons why the daemon cannot serve; `body_limit` is in bytes."""

    def __init__(
        self, services: Services, authority: Authority, unready: Callable[[], list[str]], body_limit: int
    ) -> None:
        self._unready = unready
        self._server = grpc.aio.server(
            interceptors=[_Guard(authority)],
            options=[
                ("grpc.max_receive_message_length", body_limit + AROUND),
                ("grpc.max_concurrent_streams", MOST_STREAMS),
                ("grpc.max_metadata_size", METADATA_BYTES),
                ("grpc.keepalive_time_ms", PING_MS),
                ("grpc.keepalive_timeout_ms", PING_MS),
                ("grpc.so_reuseport", 0),
            ],
        )
        names = _register(self._server, services)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._names = (*names, HEALTH, REFLECTION)
        reflection.enable_server_reflection(self._names, self._server)
        self._watching: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, listening: Listening) -> int:
        """Listens on a host that the rules of `listen.py` have let pass; returns the port. Raises PortInUse."""
        host = "127.0.0.1" if host == "localhost" else host
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if listening.tls is None:
                bound = self._server.add_insecure_port(address)
            else:
                assert listening.key is not None
                assert listening.certificate is not None
                pair = listening.key.read_bytes(), listening.certificate.read_bytes()
                bound = self._server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        except RuntimeError:
            raise PortInUse(f"Another program listens on port {port}.", "Set another grpc_port.") from None
        await self._tell_health()
        await self._server.start()
        self._watching = asyncio.ensure_future(self._watch_health())
        return int(bound)

    async def stop(self, grace: float) -> None:
        """Ends it; calls under way have `grace` seconds."""
        if self._watching is not None:
            self._watching.cancel()
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)

    async def _watch_health(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_SECONDS)
            await self._tell_health()

    async def _tell_health(self) -> None:
        states = health_pb2.HealthCheckResponse
        for name in self._names:
            await self._health.set(name, states.NOT_SERVING if self._unready() else states.SERVING)


def _register(server: Any, services: Services) -> list[str]:
    """Puts every method of the proto into the server; returns the names of the services."""
    from google.protobuf import message_factory

    handlers: dict[str, dict[str, Any]] = {}
    for service, name, method, does in services.methods():
        request = message_factory.GetMessageClass(method.input_type)
        reply = message_factory.GetMessageClass(method.output_type)
        make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        handlers.setdefault(service, {})[name] = make(
            _Does(does), request_deserializer=request.FromString, response_serializer=reply.SerializeToString
        )
    for service, of_service in handlers.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, of_service),))
    return list(handlers)


@dataclass(frozen=True, slots=True)
class _Does:
    """A method of ours, which wants its principal; it is never called but by the guard."""

    work: Any


class _Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Stands before every method, also before health, reflection and what does not exist."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """The method behind the guard."""
        method = details.method
        handler = await continuation(details)
        if handler is None or method not in RIGHTS_GRPC:
            return grpc.stream_stream_rpc_method_handler(self._refusing(method))
        kinds = {
            (False, False): (handler.unary_unary, grpc.unary_unary_rpc_method_handler, self._unary),
            (False, True): (handler.unary_stream, grpc.unary_stream_rpc_method_handler, self._stream),
            (True, True): (handler.stream_stream, grpc.stream_stream_rpc_method_handler, self._stream),
        }
        inner, make, wrap = kinds[bool(handler.request_streaming), bool(handler.response_streaming)]
        return make(
            wrap(method, inner),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _refusing(self, method: str) -> Any:
        async def refuse(requests: Any, context: Any) -> None:
            async with self._entered(method, context):
                needs_of(method)

        return refuse

    def _unary(self, method: str, inner: Any) -> Any:
        async def call(request: Any, context: Any) -> Any:
            if method == LIVENESS and not request.service:
                return await inner(request, context)
            async with self._entered(method, context) as principal:
                if isinstance(inner, _Does):
                    return await inner.work(principal, request)
                return await inner(request, context)

        return call

    def _stream(self, method: str, inner: Any) -> Any:
        async def stream(request: Any, context: Any) -> None:
            async with self._entered(method, context) as principal:
                found = inner.work(principal, request) if isinstance(inner, _Does) else inner(request, context)
                if not hasattr(found, "aclose"):  # it writes for itself
                    await found
                    return
                async with contextlib.aclosing(found) as messages:
                    async for message in messages:
                        await context.write(message)

        return stream

    @contextlib.asynccontextmanager
    async def _entered(self, method: str, context: Any) -> AsyncIterator[Principal]:
        """Who calls, while it may; whatever goes wrong becomes gRPC's status."""
        ended: list[HomefireError] = []
        task, running = asyncio.current_task(), True
        assert task is not None

        def end(problem: HomefireError) -> None:
            if not ended:
                ended.append(problem)
                cancel()

        def cancel() -> None:
            if running:  # again, in case it was lost on the way
                task.cancel()
                asyncio.get_running_loop().call_later(AGAIN_SECONDS, cancel)

        problem: HomefireError | None = None
        try:
            headers = _headers(context)
            if method not in RIGHTS_GRPC:
                self._authority.identify(headers)
            principal = self._authority.authorise(headers, needs_of(method))
            with self._authority.admitted(principal, end):
                yield principal
        except asyncio.CancelledError:
            if not ended:
                raise
            task.uncancel()
            problem = ended[0]
        except HomefireError as found:
            problem = found
        except (grpc.aio.AbortError, grpc.aio.BaseError):
            raise
        except Exception as defect:  # a defect: the daemon lives on, the client gets a code, the log gets the trace
            log.exception("defect in %s", method)
            problem = InternalError(f"A defect in Homefire: {type(defect).__name__}.")
        finally:
            running = False
        if problem is not None:
            await self._abort(method, context, problem)

    async def _abort(self, method: str, context: Any, problem: HomefireError) -> None:
        if problem.status in (401, 403, 429):
            self._authority.refused(problem.code, _address(context.peer()))
        status = grpc.StatusCode[code_of(problem, method_known=method in RIGHTS_GRPC)]
        details = f"{problem.code}: {problem.message} {problem.next_step}"
        await context.abort(status, details, (("homefire-code", problem.code),))


def _headers(context: Any) -> dict[str, str]:
    """The key that came. Raises OriginRefused for a browser, BadKey for two."""
    found: dict[str, str] = {}
    for name, value in context.invocation_metadata() or ():
        if name == "origin" or name.startswith("sec-fetch-"):
            raise OriginRefused("A page of a browser may not use gRPC.")
        if name in ("authorization", "x-api-key"):
            if name in found:
                raise BadKey("The key came twice.")
            found[name] = str(value)
    return found


def _address(peer: str) -> str:
    """The address of "ipv4:127.0.0.1:50000" or "ipv6:%5B::1%5D:50000"."""
    from urllib.parse import unquote

    return unquote(peer.partition(":")[2]).rpartition(":")[0].strip("[]")
