"""A client of Qyran's services, for consumers of the cases; `docs/client.md` has an example of every call.

    from engine.client import QyranClient, Ruling, case_of

    with QyranClient("qyran.example:50151", token=Path("token"), tls=Tls(ca=Path("ca.pem"))) as qyran:
        for entry in qyran.consume("our-register"):
            case = case_of(entry)
            proceeding = open_proceeding(case)
            qyran.report(case.id, Ruling.ACCEPTED, report_id=proceeding.id, reference=proceeding.number)

An entry comes exactly once within one `watch`, and at least once across a restart of the client: use the case's id as
the key of your own table. `AsyncQyranClient` has the same calls for asyncio.
"""

from engine.client.aio import AsyncQyranClient
from engine.client.channel import Tls
from engine.client.errors import CallRefused, ClientClosed
from engine.client.messages import CameraStatus, case_of, to_json
from engine.client.sync import QyranClient
from engine.types.decision import Disposition, Finding, Review, Ruling

__all__ = [
    "AsyncQyranClient", "CallRefused", "CameraStatus", "ClientClosed", "Disposition", "Finding", "QyranClient",
    "Review", "Ruling", "Tls", "case_of", "to_json",
]  # fmt: skip
