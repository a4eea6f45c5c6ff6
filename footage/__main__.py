"""python -m footage render | bodies | truth | site | encode | ship | verify | sheet: see `--help` of each command."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec

from footage import bodies, encode, sites, truth, verify
from footage.scene import Scene, SceneError, load

_SCENES = Path(__file__).parent / "scenes"
_BODIES = Path(__file__).parent / "bodies.npz"


_DEMO = Path(__file__).parent.parent / "engine" / "tools" / "demo"


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments) or 0)
    except (SceneError, ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m footage", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_render(commands)
    known = commands.add_parser("bodies", help="write the vehicle geometry for the truth (needs bpy)")
    known.set_defaults(run=_bodies)
    what = commands.add_parser("truth", help="write the truth of a scene")
    what.add_argument("scene", type=_scene_path, help="name of a scene, or path of its file")
    what.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    what.set_defaults(run=_truth)
    site = commands.add_parser("site", help="write the site file of a scene")
    site.add_argument("scene", type=_scene_path, help="name of a scene, or path of its file")
    site.add_argument("--out", type=Path, required=True, help="the TOML file to write")
    site.add_argument("--variant", choices=sites.VARIANTS, help="make a calibration that differs from the exact one")
    site.set_defaults(run=_site)
    _add_encode(commands)
    ship = commands.add_parser("ship", help="write clip, truth and site into the demo's folders, and verify them")
    ship.add_argument("scene", type=_scene_path, help="name of a scene, or path of its file")
    ship.add_argument("--frames-in", type=Path, required=True, help="folder of the scene's rendered frames")
    ship.set_defaults(run=_ship)
    check = commands.add_parser("verify", help="check a clip against the truth beside it")
    check.add_argument("clip", type=Path)
    check.set_defaults(run=_verify)
    sheet = commands.add_parser("sheet", help="draw a contact sheet of a clip with its truth")
    sheet.add_argument("clip", type=Path)
    sheet.add_argument("--out", type=Path, required=True, help="the picture to write")
    sheet.add_argument("--count", type=int, default=12, help="number of frames")
    sheet.set_defaults(run=_sheet)
    return parser


def _add_render(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    render = commands.add_parser("render", help="render the missing frames of a scene (needs bpy)")
    render.add_argument("scene", type=_scene_path, help="name of a scene, or path of its file")
    render.add_argument("--out", type=Path, required=True, help="folder of the scene's rendered frames")
    render.add_argument("--frames", type=_span, help="FIRST:END; default: all")
    render.add_argument("--samples", type=int, help="samples per pixel, for a draft; default: as in the scene")
    render.add_argument("--threads", type=int, default=2)
    render.set_defaults(run=_render)


def _add_encode(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    video = commands.add_parser("encode", help="encode the rendered frames of a scene")
    video.add_argument("scene", type=_scene_path, help="name of a scene, or path of its file")
    video.add_argument("--frames-in", type=Path, required=True, help="folder of the scene's rendered frames")
    video.add_argument("--out", type=Path, required=True, help="the video to write")
    video.add_argument("--frames", type=_span, help="FIRST:END; default: all")
    video.add_argument("--codec", default="h264", help="h264, hevc, vp9 or mjpeg")
    video.set_defaults(run=_encode)


def _scene_path(text: str) -> Path:
    path = Path(text)
    return path if path.suffix == ".toml" else _SCENES / f"{text}.toml"


def _span(text: str) -> tuple[int, int]:
    first, _, end = text.partition(":")
    return int(first), int(end)


def _render(arguments: argparse.Namespace) -> None:
    from footage.blender.filming import Film

    scene = load(arguments.scene)
    if arguments.samples:
        quality = msgspec.structs.replace(scene.quality, samples=arguments.samples)
        scene = msgspec.structs.replace(scene, quality=quality)
    arguments.out.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    frames = range(*(arguments.frames or (0, scene.frame_count)))
    for frame in Film(scene, arguments.out, arguments.threads).shoot(iter(frames)):
        _say(f"{scene.name}: frame {frame} of {scene.frame_count}, {time.monotonic() - began_s:.1f} s")


def _bodies(_: argparse.Namespace) -> None:
    from footage.blender import geometry

    bodies.save(_BODIES, geometry.bodies())


def _truth(arguments: argparse.Namespace) -> None:
    _write_truth(load(arguments.scene), arguments.out)


def _write_truth(scene: Scene, target: Path) -> None:
    document = truth.truth(scene, bodies.load(_BODIES))
    target.write_bytes(msgspec.json.encode(document) + b"\n")


def _site(arguments: argparse.Namespace) -> None:
    variant = sites.VARIANTS.get(arguments.variant, sites.EXACT)
    arguments.out.write_text(sites.site(load(arguments.scene), variant), encoding="utf-8")


def _encode(arguments: argparse.Namespace) -> None:
    scene = load(arguments.scene)
    paths = encode.frame_paths(arguments.frames_in, scene.frame_count)
    chosen = paths[slice(*(arguments.frames or (None,)))]
    encode.encode(chosen, arguments.out, scene.fps, scene.quality.crf, arguments.codec)


def _ship(arguments: argparse.Namespace) -> int:
    scene = load(arguments.scene)
    clip = _DEMO / "footage" / f"{scene.name}.mp4"
    encode.encode(encode.frame_paths(arguments.frames_in, scene.frame_count), clip, scene.fps, scene.quality.crf)
    _write_truth(scene, clip.with_suffix(".truth.json"))
    (_DEMO / "sites" / f"{scene.name}.toml").write_text(sites.site(scene), encoding="utf-8")
    return _report(clip)


def _verify(arguments: argparse.Namespace) -> int:
    return _report(arguments.clip)


def _report(clip: Path) -> int:
    problems = verify.verify(clip)
    _say("\n".join(problems) or f"{clip} agrees with its truth")
    return 1 if problems else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _sheet(arguments: argparse.Namespace) -> None:
    verify.sheet(arguments.clip, arguments.out, arguments.count)


if __name__ == "__main__":
    sys.exit(main())
