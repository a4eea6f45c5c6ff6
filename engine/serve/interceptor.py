"""The access interceptor: every call of every service passes here. It identifies the caller, checks the permission and
the limits, writes the audit log, and turns errors into statuses.

A servicer behind it checks its request, answers or raises; `caller()` is the caller. It needs no `context`, knows no
status codes, and may answer with bytes that are serialized already.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from engine.access import AuditLog, Caller, Role, Scope
from engine.config import LimitsConfig
from engine.metrics import Metrics
from engine.serve.identity import CallerDirectory
from engine.serve.permissions import PERMISSIONS, Permission
from engine.serve.status import (
    ABORTING,
    BadRequest,
    CallTimedOut,
    Forbidden,
    RequestTooLarge,
    TooManyCalls,
    Unauthenticated,
    abort,
)

log = structlog.get_logger()

Context = grpc.aio.ServicerContext[Any, Any]
Answer = Callable[[Any, Context], Any]

_CALLER: ContextVar[Caller] = ContextVar("caller")
SUBJECT_LENGTH = 600
"""Length of a request's subject in the audit log."""
CALLERS = 4096
"""Callers in a table of buckets; the one that has not called for longest is dropped; its bucket is full by then."""
NO_ROLE = Permission(frozenset())
"""Permission of a call that is not in the table."""


def caller() -> Caller:
    """The caller of the call that is being answered."""
    return _CALLER.get()


class Buckets:
    """A token bucket per caller: `burst` calls at once, `per_s` in the long run. For one thread."""

    def __init__(self, per_s: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Take one token. Raises TooManyCalls, with the time until the next one, if there is no token."""
        now_s = self._clock()
        left, at_s = self._left.pop(caller, (float(self._burst), now_s))
        left = min(self._burst, left + (now_s - at_s) * self._per_s)
        self._left[caller] = (max(left - 1, 0.0) if left >= 1 else left, now_s)
        if len(self._left) > CALLERS:
            self._left.popitem(last=False)
        if left < 1:
            raise TooManyCalls(f"{caller}: more than {self._per_s:g} calls a second", (1 - left) / self._per_s)


class RateLimits:
    """The limits of a service. For one thread."""

    def __init__(self, config: LimitsConfig) -> None:
        self._config = config
        self.calls = Buckets(config.calls_per_s, config.burst)
        self.failures = Buckets(config.failures_per_s, config.failures_burst)
        """By address, for callers without a valid credential: guessing is slow, and the log stays readable."""
        self._streams: Counter[str] = Counter()

    @contextmanager
    def stream(self, caller: str) -> Iterator[None]:
        """Count one more stream of a caller while the context lasts. Raises TooManyCalls."""
        if self._streams[caller] >= self._config.streams:
            raise TooManyCalls(f"{caller}: more than {self._config.streams} streams at once")
        self._streams[caller] += 1
        try:
            yield
        finally:
            self._streams[caller] -= 1
            if not self._streams[caller]:
                del self._streams[caller]


class AccessInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # not generic at run time
    """Wraps the handler of every call. Lives on the event loop of the server."""

    def __init__(
        self, directory: CallerDirectory, limits: LimitsConfig, audit: AuditLog, metrics: Metrics, writers: Executor
    ) -> None:
        """`writers` are the threads that write the audit log."""
        self._directory, self._limits, self._audit = directory, RateLimits(limits), audit
        self._metrics, self._writers = metrics, writers

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        call: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """See `grpc.aio.ServerInterceptor`."""
        handler = await continuation(call)
        return handler and self._wrap(call.method, handler)

    def _wrap(self, method: str, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        """To gRPC every request is a stream: so it reads no request before the caller is admitted."""
        permission = PERMISSIONS.get(method, NO_ROLE)
        forms = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
        form = next(form for form in forms if getattr(handler, form))
        read = partial(_read, permission, handler.request_deserializer)
        answer = partial(self._answer, method, permission, read, getattr(handler, form), form)
        make = getattr(grpc, f"stream_{form.rpartition('_')[2]}_rpc_method_handler")
        wrapped: grpc.RpcMethodHandler[Any, Any] = make(
            _coroutine(answer), None, _pass_through(handler.response_serializer)
        )
        return wrapped

    async def _answer(
        self,
        method: str,
        permission: Permission,
        read: Callable[[AsyncIterator[bytes]], AsyncGenerator[Any]],
        answer: Answer,
        form: str,
        contents: AsyncIterator[bytes],
        context: Context,
    ) -> Any:
        try:
            async with self._admitted(method, permission, context, streams=form != "unary_unary") as client:
                requests = read(contents)
                request = await _only(requests) if form.startswith("unary") else requests
                if permission.subject is not None:
                    await self._write_audit(client, method, permission.subject(request), context)
                answered = answer(request, context)
                if not hasattr(answered, "__aiter__"):
                    return await answered
                async with aclosing(answered):
                    async for response in answered:
                        await context.write(response)
        except TimeoutError:
            await abort(context, CallTimedOut(f"the service gives a call {permission.limit_s:g} s"))
        except ABORTING as error:
            if isinstance(error, TooManyCalls):
                self._metrics.rate_limited.inc()
            await abort(context, error)
        except grpc.aio.AbortError:
            raise
        except grpc.aio.InternalError:  # a message could not be handed over: the client has gone
            return None
        except Exception:
            if context.done():  # the client has gone in the middle of a message
                return None
            log.exception("a call failed unexpectedly", call=method)
            await context.abort(grpc.StatusCode.INTERNAL, "the service failed; its log says how")
        return None

    @asynccontextmanager
    async def _admitted(
        self, method: str, permission: Permission, context: Context, *, streams: bool
    ) -> AsyncIterator[Caller]:
        """The caller, within its limits and the time limit of the call. Raises Refusal."""
        client = self._admit(method, permission, context)
        with ExitStack() as stack:
            self._limits.calls.take(client.credential or client.name)
            if streams:
                stack.enter_context(self._limits.stream(client.credential or client.name))
            token = _CALLER.set(client)
            stack.callback(_CALLER.reset, token)
            async with asyncio.timeout(permission.limit_s):
                yield client

    def _admit(self, method: str, permission: Permission, context: Context) -> Caller:
        """The caller, if it has the permission. Raises Refusal."""
        try:
            found = self._directory.caller(context)
        except Unauthenticated:
            if permission.public:
                return Caller(_address(context.peer()), Role.VIEWER, Scope(("-",)), "")
            self._metrics.auth_failures.inc()
            self._limits.failures.take(_address(context.peer()))
            log.warning("call refused: no valid credential", call=method, peer=context.peer())
            raise
        if found.role not in permission.roles:
            self._metrics.auth_failures.inc()
            log.warning("call refused: not for this role", call=method, peer=context.peer(), caller=found.name)
            raise Forbidden(f"role {found.role.value} may not call {method.rpartition('/')[2]}")
        return found

    async def _write_audit(self, client: Caller, method: str, subject: str, context: Context) -> None:
        """Write the call into the audit log before it is answered. Raises AuditError."""
        write = partial(
            self._audit.write,
            who=client.name,
            role=client.role.value,
            credential=client.credential,
            peer=context.peer(),
            call=method.rpartition("/")[2],
            subject=subject[:SUBJECT_LENGTH],
        )
        await asyncio.get_running_loop().run_in_executor(self._writers, write)


async def _only(requests: AsyncGenerator[Any]) -> Any:
    """The only request of a call. Raises BadRequest if it is missing."""
    async with aclosing(requests):
        async for request in requests:
            return request
    raise BadRequest("request", "is missing")


async def _read(
    permission: Permission, parse: Callable[[bytes], Any], contents: AsyncIterator[bytes]
) -> AsyncGenerator[Any]:
    """The requests, parsed. Raises RequestTooLarge, and BadRequest for bytes that do not parse.

    gRPC itself would answer UNKNOWN to such bytes and log an error of the service.
    """
    async for content in contents:
        if len(content) > permission.limit_bytes:
            raise RequestTooLarge(f"the request has {len(content)} bytes, the limit is {permission.limit_bytes}")
        try:
            request = parse(content)
        except DecodeError as error:
            raise BadRequest("request", f"is not a message of this call: {error}") from error
        yield request


def _address(peer: str) -> str:
    """A peer without its port."""
    return peer.rpartition(":")[0]


def _coroutine(answer: Callable[..., Awaitable[Any]]) -> Callable[[Any, Context], Awaitable[Any]]:
    """gRPC looks whether a handler is a coroutine function, which a partial is not."""

    async def answered(request: Any, context: Context) -> Any:
        return await answer(request, context)

    return answered


def _pass_through(serialize: Callable[[Any], bytes] | None) -> Callable[[Any], bytes]:
    """Bytes go out as they are: an entry is serialized once for all watchers."""

    def serialized(message: Any) -> bytes:
        return message if isinstance(message, bytes) or serialize is None else serialize(message)

    return serialized
