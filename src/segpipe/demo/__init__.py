"""A demo data set: drawn photos with exact COCO annotations and a known number of each defect.

shapes.py: outlines; textures.py: backgrounds; surfaces.py: the look of objects; scenes.py: one image with its truth;
folder.py: many images as a COCO folder; defects.py: all defects and their manifest; planting.py, file_defects.py and
record_defects.py: each defect. Run `segpipe demo --help`.
"""
