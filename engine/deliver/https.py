"""Recipients at https:// and http://: one POST per case, JSON in both directions, `Idempotency-Key` is the case's id.

2xx: taken. 400, 409, 410, 413, 415, 422 and 451: refused for good; the body's `reason`, or its beginning, says why.
429, 502, 503 and 504: not now (`Retry-After` is obeyed). 401, 403, 404, 405 and a redirection: the configuration must
be corrected; the case is not at fault. After any other answer the case goes again later.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import httpx
import msgspec

from engine.config import RecipientConfig
from engine.deliver import erap, plain
from engine.deliver.channel import Receipt, Submission
from engine.deliver.credentials import network_target
from engine.errors import DeliveryError, RecipientUnavailable, SubmissionFailed, SubmissionRefused

REFUSALS = (400, 409, 410, 413, 415, 422, 451)
UNAVAILABLE = (401, 403, 404, 405, 429, 502, 503, 504)
REASON_LENGTH = 500
"""Length of a reason that is kept of an answer."""
ANSWER_BYTES = 1024 * 1024
"""Limit of an answer."""


class SubmissionForm(Protocol):
    """A module that writes the body of a request and reads the answer."""

    def write(self, submission: Submission) -> bytes:
        """The body. Raises SubmissionFailed for a document that cannot be read."""

    def read(self, case_id: str, answer: bytes) -> Receipt:
        """Raises msgspec.DecodeError for an answer that is not of this form, SubmissionRefused for a refusal."""


FORMS: dict[str, SubmissionForm] = {"qyran": plain, "erap": erap}
"""By the recipient's `form`."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    retry_after: str
    content: bytes


class HttpsChannel:
    """A `Channel` over HTTPS, or over plain HTTP.

    Asynchronous inside because of the deadline: httpx's time-outs limit every wait for a part of the answer, so a
    recipient that sends a byte now and then would hold a thread for ever. It cannot hold a task that is cancelled.
    """

    def __init__(self, recipient: RecipientConfig) -> None:
        """Raises ConfigError."""
        encrypted = recipient.url.lower().startswith("https:")
        _, self._credentials = network_target(recipient, encrypted=encrypted)
        self._url, self._form, self._deadline_s = recipient.url, FORMS[recipient.form], recipient.deadline_s
        verify = self._credentials.context() if encrypted else True
        timeout = httpx.Timeout(None, connect=self._deadline_s / 2)
        self._client = httpx.AsyncClient(verify=verify, timeout=timeout, trust_env=False)
        self._open = ExitStack()
        self._loop = self._open.enter_context(asyncio.Runner())
        self._open.callback(lambda: self._loop.run(self._client.aclose()))
        self._name = str(httpx.URL(self._url).copy_with(userinfo=b"", query=None))

    def submit(self, submission: Submission) -> Receipt:
        """See `Channel.submit`."""
        content = self._form.write(submission)
        try:
            answer = self._loop.run(self._post(content, self._headers(submission)))
        except TimeoutError as error:
            raise SubmissionFailed(f"{self._name}: no whole answer within {self._deadline_s:g} s") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise RecipientUnavailable(f"{self._name}: {type(error).__name__}: {error}") from error
        except httpx.HTTPError as error:
            raise SubmissionFailed(f"{self._name}: {type(error).__name__}: {error}") from error
        if not 200 <= answer.status < 300:
            raise self._error(answer)
        try:
            return self._form.read(submission.entry.case.id, answer.content)
        except msgspec.DecodeError as error:
            raise SubmissionFailed(f"{self._name}: {answer.status}, but the answer is unclear: {error}") from error

    def close(self) -> None:
        """See `Channel.close`."""
        self._open.close()

    async def _post(self, content: bytes, headers: dict[str, str]) -> _Answer:
        """The whole answer. Raises TimeoutError at the deadline; httpx.HTTPError."""
        async with (
            asyncio.timeout(self._deadline_s),
            self._client.stream("POST", self._url, content=content, headers=headers) as answer,
        ):
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > ANSWER_BYTES:
                    raise httpx.RemoteProtocolError(f"the answer is longer than {ANSWER_BYTES} bytes")
            return _Answer(answer.status_code, answer.headers.get("Retry-After", ""), bytes(body))

    def _headers(self, submission: Submission) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": submission.entry.case.id}
        if token := self._credentials.token():
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _error(self, answer: _Answer) -> DeliveryError:
        message = f"{self._name}: {answer.status}: {_reason(answer.content)}"
        if answer.status in REFUSALS:
            return SubmissionRefused(message)
        if answer.status in UNAVAILABLE or 300 <= answer.status < 400:
            return RecipientUnavailable(message, _seconds(answer.retry_after))
        return SubmissionFailed(message)


class _RefusalBody(msgspec.Struct):
    reason: str = ""


def _reason(content: bytes) -> str:
    """The reason in the body, on one line."""
    try:
        reason = msgspec.json.decode(content, type=_RefusalBody).reason
    except msgspec.DecodeError:
        reason = content.decode(errors="replace")
    return " ".join(reason.split())[:REASON_LENGTH] or "no reason given"


def _seconds(retry_after: str) -> float:
    """Retry-After in seconds (RFC 9110, 10.2.3); 0 for a date, which is not understood."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
