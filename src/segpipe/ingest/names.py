"""The names of the annotation formats, for code that needs no reader. Each has its line in read.FORMATS."""

AUTO = "auto"
FORMAT_NAMES = (
    *("coco", "coco_panoptic", "coco_results", "cvat", "labelme", "labelme_xml", "supervisely", "via", "voc"),
    *("yolo", "cityscapes", "index_masks", "object_masks"),
)
