"""Recipients at grpcs:// and grpc://: `qyran.v1.RegisterService.SubmitCase`; the contract is in the .proto file."""

from __future__ import annotations

import grpc
from qyran.v1 import register_service_pb2 as pb
from qyran.v1 import register_service_pb2_grpc as pb_grpc
from qyran.v1 import violation_service_pb2 as calls_pb

from engine import wire
from engine.config import RecipientConfig
from engine.deliver.channel import Receipt, Submission
from engine.deliver.credentials import network_target
from engine.errors import DeliveryError, RecipientUnavailable, SubmissionFailed, SubmissionRefused

REFUSALS = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.ALREADY_EXISTS,
)
UNAVAILABLE = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
)
RULINGS = frozenset(calls_pb.Ruling.values()) - {calls_pb.RULING_UNSPECIFIED}
OPTIONS = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_send_message_length", -1),
)
"""gRPC reconnects quickly: `backoff` alone decides when a submission is tried again."""


class RpcChannel:
    """A `Channel` over gRPC."""

    def __init__(self, recipient: RecipientConfig) -> None:
        """Raises ConfigError."""
        encrypted = recipient.url.lower().startswith("grpcs:")
        self._target, self._credentials = network_target(recipient, encrypted=encrypted)
        self._deadline_s = recipient.deadline_s
        if encrypted:
            tls = grpc.ssl_channel_credentials(*self._credentials.pem())
            self._channel = grpc.secure_channel(self._target, tls, options=OPTIONS)
        else:
            self._channel = grpc.insecure_channel(self._target, options=OPTIONS)
        self._stub = pb_grpc.RegisterServiceStub(self._channel)

    def submit(self, submission: Submission) -> Receipt:
        """See `Channel.submit`."""
        token = self._credentials.token()
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        try:
            answer = self._stub.SubmitCase(_request(submission), timeout=self._deadline_s, metadata=metadata)
        except grpc.RpcError as error:
            raise self._error(error) from error
        return _receipt(submission.entry.case.id, answer)

    def close(self) -> None:
        """See `Channel.close`."""
        self._channel.close()

    def _error(self, error: grpc.RpcError) -> DeliveryError:
        assert isinstance(error, grpc.Call)
        code = error.code()
        message = f"{self._target}: {code.name}: {error.details()}"
        if code in REFUSALS:
            return SubmissionRefused(message)
        return RecipientUnavailable(message) if code in UNAVAILABLE else SubmissionFailed(message)


def _receipt(case_id: str, answer: pb.SubmitCaseResponse) -> Receipt:
    """A ruling that this version of the protocol does not know is ignored: ReportDisposition can bring it later."""
    known = answer.disposition.ruling in RULINGS
    disposition = wire.disposition_from_message(case_id, answer.disposition) if known else None
    return Receipt(reference=answer.receipt, duplicate=answer.duplicate, disposition=disposition)


def _request(submission: Submission) -> pb.SubmitCaseRequest:
    return pb.SubmitCaseRequest(
        entry=wire.entry_to_message(submission.entry),
        contents=[pb.FileContent(name=name, content=content) for name, content in submission.contents.items()],
        evidence_target=submission.evidence_target,
    )
