"""The names of the formats, for those who need no reader. Each stands for its line in detect.FORMATS."""

AUTO = "auto"
FORMAT_NAMES = (
    *("coco", "cvat", "labelme", "labelme_xml", "supervisely", "via", "voc"),
    *("yolo", "index_masks"),
)
