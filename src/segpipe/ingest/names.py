"""The names of the formats, for those who need no reader. Each stands for its line in detect.FORMATS."""

AUTO = "auto"
FORMAT_NAMES = (
    *("coco", "coco_panoptic", "coco_results", "cvat", "labelme", "labelme_xml", "supervisely", "via", "voc"),
    *("yolo", "cityscapes", "index_masks", "object_masks"),
)
