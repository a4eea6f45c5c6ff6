"""The command `qyran`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from engine.app import logs
from engine.errors import QyranError

app = typer.Typer(
    help="Traffic-camera streams to violation records, handed to registers over gRPC.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The engine's configuration file (TOML).")]
_LogLevel = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]


def main() -> None:
    """Entry point: an error raised on purpose is one line on standard error and the error's exit status."""
    try:
        app()
    except QyranError as error:
        Console(stderr=True, highlight=False).print(f"[red]qyran:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_status)


@app.command()
def run(
    config: _Config,
    log_level: _LogLevel = "info",
    gpu: Annotated[
        str, typer.Option(metavar="N/M", help="Use GPU N of M, and watch every M-th camera; one such worker a GPU.")
    ] = "",
) -> None:
    """Watch the cameras of CONFIG until interrupted. Status 75 where the GPU was lost: start it again."""
    from engine.config import load_config
    from engine.gpu.share import config_of_share, parse_share, restrict_to_gpu

    logs.configure(level=log_level)
    loaded = load_config(config)
    if gpu:
        share = parse_share(gpu)
        restrict_to_gpu(share)
        loaded = config_of_share(loaded, share)
    from engine.app.engine import build
    from engine.tools.capacity.report import warn_past

    warn_past(loaded)
    with build(loaded) as engine, _interruptible(engine.stop):
        for _ in engine.run():
            pass


@app.command()
def check(
    config: _Config,
    offline: Annotated[bool, typer.Option("--offline", help="Read the files only, try no camera.")] = False,
) -> None:
    """Validate CONFIG and every file it names, try every camera, and say what was seen. Status 1 if a camera fails."""
    from engine.tools.commands.check import check as check_engine

    logs.configure(level="error")
    if not check_engine(config, _console(), offline=offline):
        raise typer.Exit(1)


@app.command()
def replay(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.")],
    site: Annotated[Path | None, typer.Option(help="The site file; without one nothing is measured or judged.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the register and the evidence; default: none kept.")
    ] = None,
    draw: Annotated[
        Path | None, typer.Option(help="Folder for frames with boxes, identities, speeds and lamps.")
    ] = None,
    detect_fps: Annotated[float, typer.Option(help="Frames a second that are looked at.")] = 8.0,
    region: Annotated[
        list[str] | None, typer.Option(help="Region of interest as LEFT,TOP,RIGHT,BOTTOM fractions; repeatable.")
    ] = None,
    start: Annotated[str, typer.Option(help="Capture time of the first frame, ISO 8601; default: now.")] = "",
    card: Annotated[str, typer.Option(help="Model card: a shipped name or a file.")] = "ssd_mobilenet_v3_large",
    phases: Annotated[
        Path | None, typer.Option(help="What traffic-light controllers reported: .jsonl or .csv (docs/signals.md).")
    ] = None,
) -> None:
    """Play VIDEO through the engine as fast as it goes and print its tracks and cases."""
    from engine.tools.commands.replay import Replay, play

    logs.configure(level="warning")
    wanted = Replay(video, site, out, draw, detect_fps, tuple(region or ()), start, card, phases)
    play(wanted, _console())


@app.command()
def watch(
    target: Annotated[str, typer.Argument(help="Address of the gRPC service.")] = "127.0.0.1:50151",
    from_sequence: Annotated[int, typer.Option("--from", min=0, help="Entries after this sequence.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Append JSON lines to this file, and go on after its last line.")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; repeatable.")] = None,
    camera: Annotated[list[str] | None, typer.Option(help="Only this camera; repeatable.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the bearer token.")] = None,
    ca: Annotated[Path | None, typer.Option(help="TLS: who signed the service's certificate (PEM).")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS: this client's own certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="TLS: the key of --certificate (PEM).")] = None,
) -> None:
    """Print the register's cases as JSON lines, old ones first, then new ones as they come; reconnects by itself."""
    from engine.client import QyranClient, Tls
    from engine.tools.commands.watch import follow

    logs.configure(level="warning")
    tls = Tls(ca, certificate, key) if ca or certificate else None
    with _interruptible(_raise_interrupt), QyranClient(target, token=token_file or "", tls=tls) as client:
        follow(client, from_sequence, out, tuple(kind or ()), tuple(camera or ()))


@app.command()
def calibrate(
    survey: Annotated[Path, typer.Argument(metavar="SURVEY", help="What was measured on the road (TOML).")],
    name: Annotated[str, typer.Option("--id", help="Name of the calibration, for the site file and every case.")],
    days: Annotated[int, typer.Option(min=1, help="How long it may be used.")] = 365,
    error: Annotated[float, typer.Option(help="Draw the area where lengths are known to this share (k = 1).")] = 0.01,
    readout_s: Annotated[float, typer.Option(help="Rolling shutter: seconds from the first row to the last.")] = 0.0,
    still: Annotated[Path | None, typer.Option(help="The calibration's still; names it in the table, too.")] = None,
    grid: Annotated[Path | None, typer.Option(help="Write the still with the ground's grid laid over it.")] = None,
) -> None:
    """Make the [calibration] of a site from SURVEY: prints what was found, then the table for the site file."""
    from engine.tools.commands.calibrate import CalibrationRequest, solve

    solve(
        survey, CalibrationRequest(name, days, error, readout_s, still, grid), Console(highlight=False, soft_wrap=True)
    )


@app.command()
def still(
    config: _Config,
    camera: Annotated[str, typer.Argument(metavar="CAMERA", help="Name of the camera in CONFIG.")],
    out: Annotated[Path, typer.Option(help="The picture to write (PNG).")],
    seconds: Annotated[float, typer.Option(min=5, help="Watch this long: traffic vanishes in the median.")] = 30.0,
) -> None:
    """Take the empty road of CAMERA as the still of its calibration."""
    from engine.config import load_config
    from engine.tools.commands.still import save_still

    save_still(load_config(config), camera, out, seconds)


@app.command()
def deliver(
    config: _Config,
    status: Annotated[bool, typer.Option("--status", help="Say how the recipients stand, and end.")] = False,
    retry_dead: Annotated[bool, typer.Option("--retry-dead", help="Send again what was refused, and end.")] = False,
    log_level: _LogLevel = "info",
) -> None:
    """Hand the register's cases to the recipients of CONFIG until interrupted; `qyran run` does it, too."""
    from engine.tools.commands import deliver as command

    logs.configure(level=log_level)
    if retry_dead:
        command.retry(config, _console())
    elif status:
        command.show(config, _console())
    else:
        with _interruptible(_raise_interrupt):
            command.deliver(config)


@app.command()
def retention(
    config: _Config,
    apply: Annotated[bool, typer.Option("--apply", help="Remove what is due, instead of only saying so.")] = False,
    hold: Annotated[str, typer.Option(metavar="CASE", help="Keep a case whatever the policy says; needs --why.")] = "",
    release: Annotated[str, typer.Option(metavar="CASE", help="End the holds of a case.")] = "",
    why: Annotated[str, typer.Option(help="The reason of a hold, for the record.")] = "",
) -> None:
    """Say what is no longer to be kept by the policy of CONFIG and what is held; `qyran run` removes it hourly."""
    from engine.tools.commands import retention as command

    logs.configure(level="warning")
    command.retention(config, command.RetentionRequest(apply, hold, release, why), _console())


@app.command()
def verify(
    case: Annotated[list[Path] | None, typer.Argument(metavar="[CASE]...", help="Folders of cases.")] = None,
    root: Annotated[Path | None, typer.Option(help="All the evidence of an engine: every case and the chain.")] = None,
    key: Annotated[
        list[Path] | None, typer.Option(help="Public key that must have signed; repeatable, for keys of other times.")
    ] = None,
    ledger: Annotated[Path | None, typer.Option(help="With --root: are all of the register's cases there?")] = None,
) -> None:
    """Check that every byte of the cases is as it was written, and no case is missing. Status 1 if not."""
    from engine.tools.commands.verify import verify as verify_evidence

    console = Console(highlight=False, soft_wrap=True, markup=False)
    if not verify_evidence(case or (), root, key or (), ledger, console):
        raise typer.Exit(1)


@app.command()
def capacity(
    config: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="Take its decoder and detector.")] = None,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT of the cameras asked about.")] = "1920x1080",
    fps: Annotated[float, typer.Option(min=0.1)] = 25.0,
    codec: Annotated[str, typer.Option(help="h264, hevc, vp9 or mjpeg.")] = "h264",
    detect_fps: Annotated[float, typer.Option(min=0.1, help="Frames a second that are looked at.")] = 8.0,
    regions: Annotated[int, typer.Option(min=1, help="Regions of interest.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long one measurement takes.")] = 3.0,
) -> None:
    """Measure what this machine can do, and say how many cameras fit and what the limit is."""
    from engine.tools.capacity.report import Question, answer, kind_of

    logs.configure(level="error")
    answer(Question(config, kind_of(size, fps, codec, detect_fps, regions), seconds), _console())


@app.command(name="build-engine")
def build_engine(
    config: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="Take the detector of this file.")] = None,
    card: Annotated[str, typer.Option(help="Model card: a shipped name or a file.")] = "",
    precision: Annotated[str, typer.Option(help="fp32, fp16 or int8.")] = "",
    batch: Annotated[int, typer.Option(min=0, help="Pictures at once, at the most.")] = 0,
    sm: Annotated[list[int] | None, typer.Option(help="Compute capability, 89 for 8.9; repeatable.")] = None,
    plans: Annotated[Path | None, typer.Option(help="Folder of the plans.")] = None,
    footage: Annotated[list[Path] | None, typer.Option(help="Video of your cameras; repeatable.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Build even where a plan is there.")] = False,
) -> None:
    """Build TensorRT's plan of the detector: for the GPU of this machine, or with --sm for others, without a GPU."""
    from engine.tools.commands.build_engine import PlanRequest, build_plans, ordered

    logs.configure(level="warning")
    wish = ordered(config, card, precision, batch, plans, tuple(footage or ()))
    build_plans(PlanRequest(wish, tuple(sm or ()), force), _console())


@app.command()
def report(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="Folder of a case.")],
    lang: Annotated[str, typer.Option(help="ru, kk or en.")] = "ru",
    out: Annotated[Path | None, typer.Option(help="The file to write; default: standard output.")] = None,
    embed: Annotated[bool, typer.Option("--embed", help="Put the pictures into the page, to send it alone.")] = False,
) -> None:
    """Make the report of a case anew from its case.json: the same bytes as in its folder, by the same version."""
    from engine.tools.commands.report import make_report

    content = make_report(case, lang, embed=embed)
    if out is None:
        typer.echo(content, nl=False)
    else:
        out.write_bytes(content)


keys = typer.Typer(help="The key that an engine signs its cases with.", no_args_is_help=True)
app.add_typer(keys, name="keys")
token = typer.Typer(help="Who may call the service.", no_args_is_help=True)
app.add_typer(token, name="token")
audit = typer.Typer(help="Who read evidence and changed what.", no_args_is_help=True)
app.add_typer(audit, name="audit")


registry = typer.Typer(help="The registry's extract on this machine.", no_args_is_help=True)
app.add_typer(registry, name="registry")


@registry.command("import")
def import_registry(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="CSV: plate and the last valid day of its papers.")],
    into: Annotated[Path, typer.Option(help="The snapshot that [registry] of the configuration names.")],
    as_of: Annotated[str, typer.Option(help="When FILE was true, ISO 8601; default: when it was last changed.")] = "",
) -> None:
    """Make a snapshot of FILE; a running engine takes it up by itself."""
    from engine.identify.papers import import_csv
    from engine.identify.papers.snapshot import moment_of

    at = moment_of(source, as_of)
    count = import_csv(source, into, at)
    Console(highlight=False, soft_wrap=True).print(f"{into}: {count} vehicles as of {at:%Y-%m-%d %H:%M} UTC")


@token.command("new")
def token_new(
    config: _Config,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who it is for, or a certificate's common name.")],
    role: Annotated[str, typer.Option(help="viewer, register, officer, controller or admin.")],
    kind: Annotated[list[str] | None, typer.Option(help="Sees this kind only; repeatable.")] = None,
    camera: Annotated[list[str] | None, typer.Option(help="Sees this camera only; repeatable.")] = None,
    area: Annotated[list[str] | None, typer.Option(help="Sees this area only; repeatable.")] = None,
    days: Annotated[int, typer.Option(min=0, help="How long it holds; 0: until it is revoked.")] = 365,
    certificate: Annotated[bool, typer.Option("--certificate", help="For a client certificate, not a token.")] = False,
) -> None:
    """Make a token and print it, this once; the running engine knows it within a second."""
    from engine.access import Scope
    from engine.tools.commands.token import new_token

    scope = Scope(tuple(kind or ()), tuple(camera or ()), tuple(area or ()))
    typer.echo(new_token(config, name, role, scope, days, certificate=certificate))


@token.command("list")
def token_list(config: _Config) -> None:
    """Print every token there ever was, but for its secret."""
    from engine.tools.commands.token import list_tokens

    list_tokens(config, _console())


@token.command("revoke")
def token_revoke(config: _Config, token_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Let a token open nothing any more: new calls from within a second on, running watches at their next heartbeat."""
    from engine.tools.commands.token import revoke_token

    revoke_token(config, token_id)


@audit.command("check")
def audit_check(config: _Config) -> None:
    """Is the audit log as it was written? Status 1 where its chain is broken."""
    from engine.tools.commands.audit import check_audit

    if not check_audit(config, _console()):
        raise typer.Exit(1)


@keys.command("new")
def new_keys(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The private key; FILE.pub: the public.")],
) -> None:
    """Make a key: name FILE as signing_key in [evidence] of the configuration; give FILE.pub to who verifies."""
    from engine.evidence import new_key

    Console(highlight=False, soft_wrap=True).print(f"{path}: key {new_key(path).id}; public half in {path}.pub")


@keys.command("show")
def show_key(path: Annotated[Path, typer.Argument(metavar="FILE", help="A private key.")]) -> None:
    """Print the public half of a private key (PEM), to be given to who shall verify."""
    from engine.evidence import load_signing_key, public_pem

    public = load_signing_key(path).public
    typer.echo(f"# Qyran signing key {public.id}", err=True)
    typer.echo(public_pem(public).decode(), nl=False)


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=0, help="Run this long; 0: until interrupted.")] = 90.0,
    state: Annotated[Path, typer.Option(help="Folder for the register and the evidence.")] = Path("var/demo"),
    cameras: Annotated[
        int, typer.Option(min=0, help="Watch so many of the city; 0: as many as this machine carries.")
    ] = 0,
) -> None:
    """A simulated city of RTSP cameras on this machine, watched and judged by the real engine."""
    from engine.tools.demo.city import show_city

    logs.configure(level="error")
    show_city(state, seconds, cameras, _console(), _interruptible)


def _console() -> Console:
    """Wide enough for the tables where there is no terminal to ask."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def _raise_interrupt() -> None:
    raise KeyboardInterrupt


@contextmanager
def _interruptible(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM call `stop` once; a second SIGINT ends the process at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
