"""The part that needs Blender: materials, meshes of vehicles and street, light and rendering."""

import bpy  # noqa: F401  (bmesh and mathutils can be imported only after it)
