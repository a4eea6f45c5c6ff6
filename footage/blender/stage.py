"""Light, camera and the renderer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

from footage.blender.materials import material
from footage.crops import Crop
from footage.scene import CameraTable, Light

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]


def clear() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)


def set_light(light: Light) -> None:
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    nodes["Background"].inputs["Strength"].default_value = light.sky_strength
    if light.weather == "overcast":
        nodes["Background"].inputs["Color"].default_value = (0.62, 0.70, 0.80, 1.0)
        return
    sky = nodes.new("ShaderNodeTexSky")
    sky.sky_type = "MULTIPLE_SCATTERING"
    sky.sun_elevation = math.radians(light.sun_elevation_deg)
    sky.sun_rotation = math.radians(light.sun_azimuth_deg)
    sky.sun_size = math.radians(0.6)
    links.new(sky.outputs["Color"], nodes["Background"].inputs["Color"])


def set_vehicle_lamps(strength: float) -> None:
    """Set the brightness of all head lamps."""
    shader = material("head_lamp").node_tree.nodes["Principled BSDF"]
    shader.inputs["Emission Strength"].default_value = strength


def shadow_per_m(light: Light) -> Floats:
    """(2,): length of the shadow on the ground, per metre of height."""
    if light.weather == "overcast":
        return np.zeros(2)
    azimuth, slope = math.radians(light.sun_azimuth_deg), math.tan(math.radians(light.sun_elevation_deg))
    return -np.array([math.sin(azimuth), math.cos(azimuth)]) / slope


def set_camera(table: CameraTable) -> None:
    lens = bpy.data.cameras.new("camera")
    lens.lens, lens.sensor_width, lens.clip_end = table.focal_length_mm, table.sensor_width_mm, 2000
    made = bpy.data.objects.new("camera", lens)
    scene = bpy.context.scene
    scene.collection.objects.link(made)
    made.location = table.position_m
    made.rotation_euler = (Vector(table.target_m) - Vector(table.position_m)).to_track_quat("-Z", "Y").to_euler()
    scene.camera = made
    scene.render.resolution_x, scene.render.resolution_y = table.width_px, table.height_px


def set_renderer(exposure: float, threads: int) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    scene.render.use_persistent_data = True
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.view_settings.exposure = exposure
    scene.render.image_settings.file_format = "PNG"
    cycles = scene.cycles
    cycles.device, cycles.use_denoising, cycles.denoiser = "CPU", True, "OPENIMAGEDENOISE"
    cycles.denoising_quality = cycles.denoising_prefilter = "FAST"
    cycles.use_adaptive_sampling = False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transmission_bounces = 5, 2, 3, 2
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4


def render(samples: int, seed: int, scratch: Path, crop: Crop | None = None) -> Floats32:
    """Render the picture or a crop of it; (H, W, 3) f4, display values 0 to 1. Writes and removes `scratch`."""
    scene = bpy.context.scene
    scene.cycles.samples, scene.cycles.seed = samples, seed
    _set_border(scene.render, crop)
    scene.render.filepath = str(scratch)
    bpy.ops.render.render(write_still=True)
    pixels = read_picture(scratch)
    scratch.unlink()
    return pixels


def _set_border(settings: Any, crop: Crop | None) -> None:
    settings.use_border = settings.use_crop_to_border = crop is not None
    if crop is not None:
        width, height = settings.resolution_x, settings.resolution_y
        settings.border_min_x, settings.border_max_x = _border(crop.left, width), _border(crop.right, width)
        settings.border_min_y = _border(height - crop.bottom, height)
        settings.border_max_y = _border(height - crop.top, height)


def _border(pixel: int, size_px: int) -> float:
    """The share of an axis that Blender converts to this pixel; it truncates."""
    return min(1.0, (pixel + 0.25) / size_px)


def read_picture(path: Path) -> Floats32:
    """(H, W, 3) f4 of a PNG, with the values of the file, 0 to 1."""
    image = bpy.data.images.load(str(path), check_existing=False)
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    flat = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(flat)
    bpy.data.images.remove(image)
    return flat.reshape(height, width, 4)[::-1, :, :3].copy()
