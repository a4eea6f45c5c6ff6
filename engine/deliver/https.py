"""Recipients that speak HTTPS: one POST a case, JSON both ways, `Idempotency-Key` the id of the case.

2xx is a yes. 400, 409, 410, 413, 415, 422 and 451 are a definitive no, and the body's `reason`, or its beginning, says
why. 429, 502, 503 and 504 mean not now (`Retry-After` is kept to); 401, 403, 404, 405 and a redirection mean that
somebody must look at the configuration, and are no fault of the case's. Whatever else comes, the case goes again later.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import httpx
import msgspec

from engine.deliver.channel import Receipt, Submission
from engine.deliver.credentials import Credentials
from engine.errors import DeliveryError, RecipientUnavailable, SubmissionFailed, SubmissionRefused

REFUSALS = (400, 409, 410, 413, 415, 422, 451)
UNAVAILABLE = (401, 403, 404, 405, 429, 502, 503, 504)
WORDS = 500
"""Of an answer, kept as the reason at the most."""
ANSWER_BYTES = 1024 * 1024
"""No answer is longer."""


class SubmissionForm(Protocol):
    """How a submission is written and its answer read."""

    def write(self, submission: Submission) -> bytes: ...

    def read(self, case_id: str, answer: bytes) -> Receipt:
        """Raises msgspec.DecodeError for an answer that is not of this form, SubmissionRefused for one that says no."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    retry_after: str
    content: bytes


class HttpsChannel:
    """A `Channel` over HTTPS, or plain HTTP.

    Asynchronous inside, for the sake of the deadline: httpx's own time-outs bound every wait for a part, so that a
    recipient which sends a byte now and then holds a thread for ever; a task that is cancelled it cannot hold.
    """

    def __init__(self, url: str, form: SubmissionForm, credentials: Credentials, deadline_s: float) -> None:
        self._url = url
        self._form = form
        self._credentials = credentials
        self._deadline_s = deadline_s
        verify = credentials.context() if credentials.encrypted else True
        timeout = httpx.Timeout(None, connect=deadline_s / 2)
        self._client = httpx.AsyncClient(verify=verify, timeout=timeout, trust_env=False)
        self._open = ExitStack()
        self._loop = self._open.enter_context(asyncio.Runner())
        self._open.callback(lambda: self._loop.run(self._client.aclose()))
        self._name = str(httpx.URL(url).copy_with(userinfo=b"", query=None))

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
        self._open.close()

    async def _post(self, content: bytes, headers: dict[str, str]) -> _Answer:
        """The whole answer. Raises TimeoutError when it is not there by the deadline; httpx.HTTPError."""
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
        words = f"{self._name}: {answer.status}: {_reason(answer.content)}"
        if answer.status in REFUSALS:
            return SubmissionRefused(words)
        if answer.status in UNAVAILABLE or 300 <= answer.status < 400:
            return RecipientUnavailable(words, _seconds(answer.retry_after))
        return SubmissionFailed(words)


class _Refusal(msgspec.Struct):
    reason: str = ""


def _reason(content: bytes) -> str:
    """What the body says, on one line."""
    try:
        said = msgspec.json.decode(content, type=_Refusal).reason
    except msgspec.DecodeError:
        said = content.decode(errors="replace")
    return " ".join(said.split())[:WORDS] or "no reason given"


def _seconds(retry_after: str) -> float:
    """RFC 9110, 10.2.3; a date is not understood and counts as none."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
