"""A folder of drawn photographs with exact COCO annotations and a known number of each defect.

shapes.py outlines; textures.py grounds; surfaces.py what an object looks like; scenes.py one picture with its truth;
folder.py many of them as a COCO folder; defects.py what is then broken on purpose, and the manifest of it, with
plot.py, file_defects.py and record_defects.py. `python -m segpipe.demo --help`.
"""
