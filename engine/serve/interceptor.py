"""Every call of every service comes in through here: who calls, may they, how often, how long; and what went wrong.

A servicer behind it checks its request, answers or raises; `caller()` says who asks. It needs no `context`, knows no
status codes, and may answer with bytes that are serialised already.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import ExitStack, aclosing, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from engine.access import AuditLog, Caller, Role, Scope
from engine.metrics import Metrics
from engine.serve.identity import CallerDirectory
from engine.serve.limits import RateLimits
from engine.serve.permissions import MATRIX, Permission
from engine.serve.status import TOLD, BadRequest, Forbidden, TooLarge, TooLate, TooMany, Unauthenticated, abort

log = structlog.get_logger()

Context = grpc.aio.ServicerContext[Any, Any]
Answer = Callable[[Any, Context], Any]

_CALLER: ContextVar[Caller] = ContextVar("caller")
SUBJECT_LENGTH = 600
"""What goes into the audit log of what a request says it is about."""
NOBODY = Permission(frozenset())
"""Of a call that is not in the table."""


def caller() -> Caller:
    """Who makes the call that is being answered."""
    return _CALLER.get()


@dataclass(frozen=True, slots=True)
class CallerGate:
    """What it takes to let a call in."""

    directory: CallerDirectory
    limits: RateLimits
    audit: AuditLog
    metrics: Metrics
    writers: Executor
    """Where the audit log is written."""

    async def admit(self, method: str, rule: Permission, context: Context) -> Caller:
        """Who calls, if they may. Raises Refusal."""
        try:
            found = self.directory.caller(context)
        except Unauthenticated:
            if rule.public:
                return _stranger(context)
            self.metrics.auth_failures.inc()
            self.limits.failures.take(_address(context.peer()))
            log.warning("call refused: no valid credential", call=method, peer=context.peer())
            raise
        if found.role not in rule.roles:
            self.metrics.auth_failures.inc()
            log.warning("call refused: not for this role", call=method, peer=context.peer(), who=found.name)
            raise Forbidden(f"role {found.role.value} may not call {method.rpartition('/')[2]}")
        return found

    async def note(self, who: Caller, method: str, subject: str, context: Context) -> None:
        """Write the call down before it is answered; raises AuditError where that is not possible."""
        write = partial(
            self.audit.write,
            who=who.name,
            role=who.role.value,
            credential=who.credential,
            peer=context.peer(),
            call=method.rpartition("/")[2],
            subject=subject[:SUBJECT_LENGTH],
        )
        await asyncio.get_running_loop().run_in_executor(self.writers, write)


class AccessInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # not generic when it runs
    """Puts the gate in front of every servicer."""

    def __init__(self, gate: CallerGate) -> None:
        self._gate = gate

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        call: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        handler = await continuation(call)
        return handler and self._guarded(call.method, handler)

    def _guarded(self, method: str, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        """To gRPC every request is a stream: then it reads none before the handler asks for it, who lets in first."""
        rule = MATRIX.get(method, NOBODY)
        forms = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
        form = next(form for form in forms if getattr(handler, form))
        read = partial(_only if form.startswith("unary") else _all, rule, handler.request_deserializer)
        answer = partial(self._answer, method, rule, read, getattr(handler, form), streams=form != "unary_unary")
        make = getattr(grpc, f"stream_{form.rpartition('_')[2]}_rpc_method_handler")
        made: grpc.RpcMethodHandler[Any, Any] = make(
            _coroutine(answer), None, _pass_through(handler.response_serializer)
        )
        return made

    async def _answer(
        self,
        method: str,
        rule: Permission,
        read: Callable[[AsyncIterator[bytes]], Awaitable[Any]],
        answer: Answer,
        contents: AsyncIterator[bytes],
        context: Context,
        *,
        streams: bool,
    ) -> Any:
        try:
            async with self._admitted(method, rule, context, streams=streams) as who:
                request = await read(contents)
                if rule.subject is not None:
                    await self._gate.note(who, method, rule.subject(request), context)
                made = answer(request, context)
                if not hasattr(made, "__aiter__"):
                    return await made
                async with aclosing(made):
                    async for response in made:
                        await context.write(response)
        except TimeoutError:
            await abort(context, TooLate(f"the service gives a call {rule.most_s:g} s"))
        except TOLD as error:
            if isinstance(error, TooMany):
                self._gate.metrics.rate_limited.inc()
            await abort(context, error)
        except grpc.aio.AbortError:
            raise
        except grpc.aio.InternalError:  # a message could not be handed over: the client has gone
            return None
        except Exception:
            if context.done():  # the client has gone in the middle of a message
                return None
            log.exception("a call failed in a way that nobody foresaw", call=method)
            await context.abort(grpc.StatusCode.INTERNAL, "the service failed; its log says how")
        return None

    @asynccontextmanager
    async def _admitted(
        self, method: str, rule: Permission, context: Context, *, streams: bool
    ) -> AsyncIterator[Caller]:
        who = await self._gate.admit(method, rule, context)
        with ExitStack() as stack:
            self._gate.limits.calls.take(who.credential or who.name)
            if streams:
                stack.enter_context(self._gate.limits.stream(who.credential or who.name))
            token = _CALLER.set(who)
            stack.callback(_CALLER.reset, token)
            async with asyncio.timeout(rule.most_s):
                yield who


async def _only(rule: Permission, parse: Callable[[bytes], Any], contents: AsyncIterator[bytes]) -> Any:
    """The one request of a call."""
    async with aclosing(_each(rule, parse, contents)) as requests:
        async for request in requests:
            return request
    raise BadRequest("request", "none has come")


async def _all(rule: Permission, parse: Callable[[bytes], Any], contents: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    """The requests of a call that has many, as they come."""
    return _each(rule, parse, contents)


async def _each(rule: Permission, parse: Callable[[bytes], Any], contents: AsyncIterator[bytes]) -> AsyncGenerator[Any]:
    """Requests, none larger than the rule allows.

    gRPC itself would say UNKNOWN to one that is none, and log it as an error of the service.
    """
    async for content in contents:
        _require_small(rule, len(content))
        try:
            request = parse(content)
        except DecodeError as error:
            raise BadRequest("request", f"is no message of this call: {error}") from error
        yield request


def _require_small(rule: Permission, size: int) -> None:
    if size > rule.most_bytes:
        raise TooLarge(f"the request has {size} bytes, {rule.most_bytes} are the most")


def _stranger(context: Context) -> Caller:
    """Whoever calls what everybody may."""
    return Caller(_address(context.peer()), Role.VIEWER, Scope(("-",)), "")


def _address(peer: str) -> str:
    """A peer without its port."""
    return peer.rpartition(":")[0]


def _coroutine(answer: Callable[..., Awaitable[Any]]) -> Callable[[Any, Context], Awaitable[Any]]:
    """gRPC asks functions, not partials, what they are."""

    async def answered(request: Any, context: Context) -> Any:
        return await answer(request, context)

    return answered


def _pass_through(serialise: Callable[[Any], bytes] | None) -> Callable[[Any], bytes]:
    """What is bytes already goes out as it is: an entry is serialised once for all that watch."""

    def serialised(message: Any) -> bytes:
        return message if isinstance(message, bytes) or serialise is None else serialise(message)

    return serialised
