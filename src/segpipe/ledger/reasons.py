"""Every reason code in plain words: what it means, what was done, what to do. The one place to say so."""

from dataclasses import dataclass

from segpipe.ledger import rows


@dataclass(frozen=True, slots=True)
class Reason:
    """What stands behind a code. verdict: one of ledger.VERDICTS, or "" for a finding that changes nothing.

    done: what the pipeline did; remedy: what a person can do; keys: the settings in params.yaml that decide.
    """

    code: str
    verdict: str
    title: str
    meaning: str
    done: str
    remedy: str
    keys: tuple[str, ...] = ()


SETTINGS = {
    "ingest.classes": "which classes are learned",
    "ingest.mask_values": "what the values stored in mask pictures mean",
    "validate.crowd": "ignore, object or drop",
    "validate.difficult": "object, ignore or drop",
    "validate.occluded": "object, ignore or drop",
    "validate.unknown_class": "ignore or drop",
    "validate.holes": "union or even_odd: whether a ring within another cuts a hole",
    "validate.unannotated": "skip or keep photographs whose record has no object",
    "validate.box": "region, ignore or drop",
    "validate.line_width_px": "how wide lines are drawn, 0 for not at all",
    "validate.point_radius_px": "how large points are drawn, 0 for not at all",
    "validate.limits": "for any code, the share of records that may have it before the pipeline stops",
    "photos.height": "height of the images that the network sees",
    "photos.width": "and their width",
    "rasterize.priority": "who is on top where objects overlap",
    "split.near_duplicate_bits": "how much photographs may differ that share a side",
    "split.max_leaks": "the share of val and test that may have such a photograph before the pipeline stops",
    "split.method": "content, balanced, or source for the source's own split",
    "split.pins": "sides that photographs keep",
    "split.empty_masks": "leave_out or keep for training, photographs without a pixel of any class",
}  # the keys of params.yaml that decide, in words
_LIMIT = "validate.limits"
_LEFT_OUT = "The photograph is left out; its annotations are counted as image_lost."

REASONS = (
    Reason(
        "missing_file", rows.DROPPED, "Photograph not found",
        "An annotation file names a photograph that is not in the source folder, or whose name fits several files.",
        _LEFT_OUT,
        "Put the file where the record says, correct the name, or delete the record.",
        (_LIMIT,),
    ),
    Reason(
        "unreadable", rows.DROPPED, "Photograph cannot be read",
        "The file is empty, cut short, no picture at all, or must not be opened (a link that leaves the source folder, "
        "a name that is not UTF-8, a picture of more than 300 million pixels).",
        _LEFT_OUT,
        "Fetch the file again from where it came from, or remove it.",
        (_LIMIT,),
    ),
    Reason(
        "unsupported_format", rows.DROPPED, "Picture format not supported",
        "The file is in a format that is not read here. JPEG, PNG, BMP, TIFF and WebP are.",
        _LEFT_OUT,
        "Convert the file to JPEG or PNG, and correct its name in the annotations.",
        (_LIMIT,),
    ),
    Reason(
        "size_mismatch", rows.DROPPED, "Photograph is not of the declared size",
        "The annotation gives a width and height that fit the photograph neither upright nor turned. Most likely "
        "another version of the picture was annotated, and the outlines lie in the wrong place.",
        _LEFT_OUT,
        "Restore the photograph that was annotated, or export the annotation for this one; if the outlines fit, "
        "correct width and height in the record.",
        (_LIMIT,),
    ),
    Reason(
        "fractions", rows.DROPPED, "Coordinates in fractions",
        "All coordinates of the photograph's annotation file lie between 0 and 1: they are fractions of width and "
        "height. The format has pixels, of which each object would cover one, in the corner.",
        _LEFT_OUT,
        "Multiply the coordinates by width and height, or export the file again in pixels.",
        (_LIMIT,),
    ),
    Reason(
        "no_matching_annotation", rows.SKIPPED, "No object of a selected class",
        "The annotations know this photograph, but nothing on it belongs to a class that is selected.",
        "The photograph is not used: whether it is background or was never finished cannot be told.",
        "Select more classes; or, if such photographs truly show none of them, keep them as background.",
        ("ingest.classes", "validate.unannotated"),
    ),
    Reason(
        "not_annotated", rows.SKIPPED, "Photograph without annotation",
        "The file is in the source folder, but no annotation file names it.",
        "The photograph is not used.",
        "Annotate it, or move it out of the source folder.",
    ),
    Reason(
        "bad_record", rows.DROPPED, "Record that makes no sense",
        "A record lacks what it must have, or holds something of another kind: no outline, a word where a number "
        "belongs, an id that already stands for something else, a mask file that cannot be read or is of another size.",
        "The record is left out.",
        "Mend the record named below, or delete it; the words beside it say what is wrong.",
        (_LIMIT,),
    ),
    Reason(
        "unknown_image", rows.DROPPED, "Annotation of an unknown photograph",
        "The annotation belongs to a photograph that the annotation file does not list.",
        "The annotation is left out.",
        "Add the photograph's record to the annotation file, or delete the annotation.",
        (_LIMIT,),
    ),
    Reason(
        "ambiguous_image", rows.DROPPED, "Annotation of one of several photographs",
        "The annotation names its photograph by an id, and several photographs of the file have that id.",
        "The annotation is left out, and so are those photographs: nothing says which of them it is drawn on.",
        "Give each photograph an id that no other has, and correct the ids in the annotations.",
        (_LIMIT,),
    ),
    Reason(
        "unknown_category", rows.DROPPED, "Annotation of an unknown class",
        "The annotation's class is not in the source's own list of classes, or stands there for two names; and it has "
        "no outline, or validate.unknown_class says to leave such annotations out.",
        "The annotation is left out.",
        "Complete the list of classes in the annotation file; for mask pictures, say what the value means.",
        ("validate.unknown_class", "ingest.mask_values", _LIMIT),
    ),
    Reason(
        "bad_ring", rows.DROPPED, "Outline that is no outline",
        "No line of the annotation encloses anything: fewer than three different points, or an odd count of numbers.",
        "The annotation is left out.",
        "Draw the object again, or delete the annotation.",
        (_LIMIT,),
    ),
    Reason(
        "bad_rle", rows.DROPPED, "Run lengths that do not fit",
        "The mask is stored as run lengths (RLE) that do not fill the photograph exactly, or cannot be decoded.",
        "The annotation is left out.",
        "Export the mask again from the annotation tool.",
        (_LIMIT,),
    ),
    Reason(
        "zero_area", rows.DROPPED, "Covers no pixel",
        "The outline is so thin or so small that not one pixel lies inside it.",
        "The annotation is left out.",
        "Draw the object again, or delete the annotation.",
        (_LIMIT,),
    ),
    Reason(
        "outside_frame", rows.DROPPED, "Lies outside the photograph",
        "No part of the outline lies inside the photograph.",
        "The annotation is left out.",
        "Move it to where the object is, or delete it; many of them hint at an annotation of another file.",
        (_LIMIT,),
    ),
    Reason(
        "not_a_region", rows.DROPPED, "Shape without an area",
        "The annotation is a line, a point, or another shape that does not say which pixels belong to the object.",
        "The annotation is left out.",
        "Give lines a width and points a radius to draw them so, or draw the object's outline.",
        ("validate.line_width_px", "validate.point_radius_px", _LIMIT),
    ),
    Reason(
        "image_lost", rows.DROPPED, "Its photograph cannot be used",
        "The annotation itself may be sound, but the photograph it belongs to is missing, broken or of another size.",
        "The annotation is left out together with its photograph.",
        "Mend the photograph; the annotation then comes back by itself.",
        (_LIMIT,),
    ),
    Reason(
        "image_skipped", rows.DISCARDED, "Its photograph is skipped",
        "The region would only say what not to look at, on a photograph that shows no class that is learned.",
        "It is left out together with its photograph.",
        "Nothing, or list a class that the photograph shows.",
        ("ingest.classes",),
    ),
    Reason(
        "self_crossing", rows.REPAIRED, "Outline crosses itself",
        "The outline runs over itself, as in a figure eight, so that inside and outside are not clear everywhere.",
        "It is drawn by the even-odd rule of pycocotools, as everywhere in the field; nothing becomes a box or a hull. "
        "The corrected area is what the outline encloses in all, given for comparison; it is not measured where the "
        "outline crosses itself more than 500 times.",
        "Nothing, if the difference is small; else draw the object again.",
    ),
    Reason(
        "ring_removed", rows.REPAIRED, "Part of an outline left out",
        "The annotation consists of several outlines, and some of them enclose nothing.",
        "Those parts are left out, the others are drawn.",
        "Nothing, if what is drawn covers the object; else draw the missing part again.",
    ),
    Reason(
        "past_border", rows.CLIPPED, "Runs past the border",
        "Part of the outline lies outside the photograph by half a pixel or more.",
        "It is cut at the border; inside the photograph it is exact.",
        "Nothing; many of them hint at a photograph that was cropped after it was annotated.",
    ),
    Reason(
        "crowd", rows.IGNORED, "Crowd, painted as ignore",
        "A region of many objects that were not outlined one by one (COCO's iscrowd).",
        "Its pixels are neither taught nor scored; objects on top of it stay.",
        "To take it for an object or to leave it out, change the setting.",
        ("validate.crowd",),
    ),
    Reason(
        "ignore", rows.IGNORED, "Excluded from truth",
        "Pixels that the source marks as not to be judged (edges, the unlabelled, the region of no interest).",
        "Its pixels are neither taught nor scored; objects on top of it stay.",
        "Nothing, if they are not to be judged; for mask pictures, say what the value means.",
        ("ingest.mask_values",),
    ),
    Reason(
        "box", rows.IGNORED, "Box, painted as ignore",
        "The annotation is a box: it says where the object is, not where it ends.",
        "The pixels inside are neither taught nor scored; objects on top of it stay.",
        "Draw the object's outline; or change the setting.",
        ("validate.box",),
    ),
    Reason(
        "difficult", rows.IGNORED, "Difficult, painted as ignore",
        "Its annotator marked the object as difficult to tell.",
        "Its pixels are neither taught nor scored; objects on top of it stay.",
        "To take it for an object or to leave it out, change the setting.",
        ("validate.difficult",),
    ),
    Reason(
        "occluded", rows.IGNORED, "Occluded, painted as ignore",
        "Its annotator noted that something else hides part of the object.",
        "Its pixels are neither taught nor scored; objects on top of it stay.",
        "To take it for an object or to leave it out, change the setting.",
        ("validate.occluded",),
    ),
    Reason(
        "unknown_category", rows.IGNORED, "Region of an unknown class",
        "An outline, or a value or colour of a mask, whose class no list of classes names: its pixels show something, "
        "but not known what.",
        "Its pixels are neither taught nor scored, since to call them background would be wrong.",
        "Complete the source's list of classes; for mask pictures, say what the value means.",
        ("validate.unknown_class", "ingest.mask_values"),
    ),
    Reason(
        "box", rows.KEPT, "Box instead of an outline",
        "The annotation is a box: it says where the object is, not where it ends.",
        "All of its inside is drawn as the object.",
        "Draw the object's outline; or ignore boxes, or leave them out.",
        ("validate.box",),
    ),
    Reason(
        "line", rows.KEPT, "Line instead of an outline",
        "The annotation is an open line, which has no area of its own.",
        "It is drawn as wide as the setting says.",
        "Change the width, or draw the object's outline.",
        ("validate.line_width_px",),
    ),
    Reason(
        "point", rows.KEPT, "Point instead of an outline",
        "The annotation is a point, which has no area of its own.",
        "It is drawn as a disc, as large as the setting says.",
        "Change the radius, or draw the object's outline.",
        ("validate.point_radius_px",),
    ),
    Reason(
        "class_not_selected", rows.DISCARDED, "Class not selected",
        "The annotation is sound; its class is not among those to be learned.",
        "It is not drawn: its pixels count as background, or as what lies beneath.",
        "Add the class to the list to learn it.",
        ("ingest.classes",),
    ),
    Reason(
        "crowd", rows.DISCARDED, "Crowd, left out by choice",
        "A region of many objects that were not outlined one by one (COCO's iscrowd).",
        "It is not drawn: its pixels count as background, although they show objects.",
        "To exclude such regions from training and scores, set it to ignore.",
        ("validate.crowd",),
    ),
    Reason(
        "box", rows.DISCARDED, "Box, left out by choice",
        "The annotation is a box: it says where the object is, not where it ends.",
        "It is not drawn: its pixels count as background, although they show an object.",
        "To exclude such regions from training and scores, set it to ignore.",
        ("validate.box",),
    ),
    Reason(
        "difficult", rows.DISCARDED, "Difficult, left out by choice",
        "Its annotator marked the object as difficult to tell.",
        "It is not drawn: its pixels count as background, although they show an object.",
        "To exclude such regions from training and scores, set it to ignore.",
        ("validate.difficult",),
    ),
    Reason(
        "occluded", rows.DISCARDED, "Occluded, left out by choice",
        "Its annotator noted that something else hides part of the object.",
        "It is not drawn: its pixels count as background, although they show an object.",
        "To exclude such regions from training and scores, set it to ignore.",
        ("validate.occluded",),
    ),
    Reason(
        "deleted", rows.DISCARDED, "Deleted by its annotator",
        "The annotation tool keeps deleted shapes in its file and marks them so.",
        "It is not drawn.",
        "Nothing.",
    ),
    Reason(
        "repeated", rows.DISCARDED, "Box of what a mask shows",
        "The source holds the object twice: as a box, and exactly, in a mask that shows its class inside that box.",
        "The mask is drawn, the box is not.",
        "Nothing.",
    ),
    Reason(
        "outside", rows.DISCARDED, "Not on this frame",
        "The shape belongs to an object of a video that is marked as out of sight on this frame.",
        "It is not drawn.",
        "Nothing.",
    ),
    Reason(
        "covered", rows.HIDDEN, "Hidden beneath other objects",
        "Every pixel of the object lies beneath other objects, often because it was annotated twice.",
        "It has no pixel in the mask.",
        "Delete the duplicate, or change who is on top.",
        ("rasterize.priority",),
    ),
    Reason(
        "empty_mask", rows.KEPT, "Mask without an object",
        "The photograph is annotated, but after all checks no pixel of it belongs to a class.",
        "It is left out of training. In val and test it stays: an object that the model finds there counts as wrong.",
        "If it does show an object, correct its annotation. If it shows background alone, it may be trained on, too.",
        ("split.empty_masks",),
    ),
)  # fmt: skip

_BY_VERDICT = {(reason.verdict, reason.code): reason for reason in REASONS}


def reason_of(row: rows.Row) -> Reason:
    """What stands behind the code of a ledger row. Raises KeyError for one without words."""
    return _BY_VERDICT[row.verdict, row.reason]
