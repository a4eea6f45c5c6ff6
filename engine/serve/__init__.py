"""The gRPC service over the register and the evidence (`proto/qyran/v1/violation_service.proto` is the contract).

grpc.aio on a thread of its own: a watcher costs a coroutine instead of a thread, so hundreds of them wait for nothing,
and HTTP/2's flow control suspends the coroutine of one that reads slowly at its present page. What touches the disk
runs on a few threads beside the loop. The pipeline shares nothing with this but the register's file.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import ipaddress
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from qyran.v1 import violation_service_pb2 as pb
from qyran.v1 import violation_service_pb2_grpc as pb_grpc

from engine.config import ServiceConfig, split_address
from engine.errors import ConfigError
from engine.metrics import Metrics
from engine.register import SqlRegister
from engine.serve.calls import Calls
from engine.serve.news import News

log = structlog.get_logger()

READERS = 4
"""Threads that read the disk for all clients."""
OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.max_receive_message_length", 256 * 1024),
)
"""A port belongs to one service; a peer that is gone is noticed; a request is small."""
SERVICE = pb.DESCRIPTOR.services_by_name["ViolationService"].full_name


class Service:
    """The service, running between `start` and `stop` on its own thread."""

    def __init__(self, register: SqlRegister, evidence_root: Path, config: ServiceConfig, metrics: Metrics) -> None:
        self._host = _checked_host(config)
        self._register = register
        self._evidence_root = evidence_root
        self._config = config
        self._metrics = metrics
        self._stop = threading.Event()
        self._bound: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._grace_s = 0.0
        self._thread = threading.Thread(target=self._run, name="service", daemon=True)

    def start(self) -> None:
        """Listen; raises ConfigError where the address cannot be had."""
        self._thread.start()
        log.info("service listens", address=self.address)

    @property
    def address(self) -> str:
        """`host:port` as bound. Blocks until it is; raises ConfigError where it could not be."""
        return f"{self._host}:{self._bound.result()}"

    def stop(self, grace_s: float = 2.0) -> None:
        """End every watch with UNAVAILABLE, let running downloads go on for `grace_s`, then close."""
        self._grace_s = grace_s
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._bound.done():
                raise
            self._bound.set_exception(error)

    async def _serve(self) -> None:
        server = grpc.aio.server(options=OPTIONS)
        with ThreadPoolExecutor(READERS + 1, thread_name_prefix="service reader") as readers:
            news = News(self._register, readers, self._metrics)
            calls = Calls(self._register, self._evidence_root, readers, news, self._config.heartbeat_s)
            pb_grpc.add_ViolationServiceServicer_to_server(calls, server)
            alive = await _add_standard_services(server)
            self._bound.set_result(await self._listen(server))
            following = asyncio.create_task(news.follow())
            await asyncio.to_thread(self._stop.wait)
            await alive.enter_graceful_shutdown()
            news.end()
            await server.stop(self._grace_s)
            await following

    async def _listen(self, server: grpc.aio.Server) -> int:
        try:
            port = server.add_insecure_port(self._config.listen)
            await server.start()
        except RuntimeError as error:
            raise ConfigError(f"service.listen: cannot listen on {self._config.listen}: {error}") from error
        return port


def _checked_host(config: ServiceConfig) -> str:
    """The host to listen on; raises ConfigError for plaintext on a network nobody said to trust."""
    host, _ = split_address(config.listen, source="service.listen")
    if not (_is_loopback(host) or config.insecure_listen):
        raise ConfigError(
            f"service.listen: {host} can be reached from the network and nothing would be encrypted; "
            "listen on 127.0.0.1, or set service.insecure_listen = true inside a trusted network"
        )
    return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


async def _add_standard_services(server: grpc.aio.Server) -> Any:
    """Health (github.com/grpc/grpc/blob/master/doc/health-checking.md) and reflection; returns the health servicer."""
    alive = health.aio.HealthServicer()  # type: ignore[attr-defined]
    health_pb2_grpc.add_HealthServicer_to_server(alive, server)
    await alive.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return alive
