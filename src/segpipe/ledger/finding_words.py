"""Every finding in plain words, as reasons.py has the reason codes: what is no defect but worth knowing."""

from segpipe.ledger.reasons import Reason

FINDINGS = (
    Reason(
        "turned_by_exif", "", "Turned upright by its EXIF tag",
        "The camera stored the photograph lying on its side or mirrored, with a note how to turn it.",
        "It is used as a viewer shows it, which is also what the annotation's declared size fits.",
        "Nothing.",
    ),
    Reason(
        "annotated_as_stored", "", "Annotated without its EXIF turn",
        "The declared width and height fit only the photograph as stored, before it is turned: the annotation tool did "
        "not look at the EXIF tag.",
        "It is used as stored, in the frame that the outlines were drawn in.",
        "Nothing, if the outlines below fit.",
    ),
    Reason(
        "orientation_undecidable", "", "Orientation cannot be told",
        "The photograph has an EXIF turn, and width and height fit both ways (it is square, or the turn keeps them).",
        "It is used as a viewer shows it.",
        "Look whether the outlines below fit. If not, remove the EXIF tag from the file.",
    ),
    Reason(
        "equal_files", "", "Same file twice",
        "Two photographs are equal to the byte.",
        "Both are kept, on the same side of the split unless the source's own split or a pin parts them.",
        "Delete one of them, and join their annotations if they differ.",
    ),
    Reason(
        "listed_twice", "", "Photograph with several records",
        "More than one record of the annotation files names this photograph, as when exports are put together.",
        "The records are taken for one photograph, with the annotations of all of them.",
        "Look whether the same objects were annotated in each of them, and delete the repeated ones.",
    ),
    Reason(
        "found_elsewhere", "", "File found elsewhere than written",
        "The file is not where the record says, as when a folder was moved, or a name was written in other cases of "
        "letters. Its folders do not contradict the record, or it is the file beside the annotation that has its name.",
        "That file is used. No other record means it.",
        "Look whether the outlines below fit; correct the path in the record where they do not.",
    ),
    Reason(
        "other_folder", "", "File of another folder than written",
        "The record names a folder in which the file is not. One file alone in the source has its name, in another "
        "folder, and no other record can mean that.",
        "That file is used, though it may be another that has only the same name.",
        "Look whether the outlines below fit; put the file where the record says, or correct the record.",
    ),
    Reason(
        "first_page_only", "", "File of several pages",
        "The file holds more than one picture: the pages of a TIFF stack, the frames of a moving WebP or PNG, or the "
        "pictures of a stereo camera. Smaller versions of the same picture do not count.",
        "The first page is used, the others are not.",
        "If other pages are needed, write each as a file, with a record of annotations for each.",
    ),
    Reason(
        "scaled_to_8_bit", "", "More than 8 bits a value",
        "The file holds values of more than 8 bits, as scientific and medical cameras write them. The network sees 8 "
        "bits.",
        "The range that the values of the file lie in (without the outermost 0.01 % at either end) is scaled to 0 to "
        "255, so that the contrast stays. Each file has its range: the same value may look different in two files.",
        "Nothing, if brightness has no meaning across files; else convert all files to 8 bits with one scale.",
    ),
    Reason(
        "bands_not_used", "", "Bands that are not used",
        "The file has more bands than red, green and blue, or grey: near infrared, height, or a band of unknown "
        "meaning. A fourth band of a TIFF counts as transparency only where the file declares it so and it holds "
        "nothing but 0 and 255; that of another file only where most of it is 0 or 255; and no band does where no "
        "pixel is opaque.",
        "The colours are used as they are, the other bands are not.",
        "To use another choice of bands, write three of them as an RGB file.",
    ),
    Reason(
        "laid_on_white", "", "Transparent pixels",
        "The picture has pixels that are transparent, wholly or in part.",
        "They are shown on white.",
        "If the fourth band is no transparency, write the file without it.",
    ),
    Reason(
        "background_only", "", "Taken as background",
        "The record names no object of a selected class, and validate.unannotated says to keep such photographs.",
        "All its pixels count as background.",
        "If they were never finished, skip them.",
        ("validate.unannotated",),
    ),
    Reason(
        "duplicate_id", "", "Id used twice",
        "The annotation has the id of an earlier one in the same file. Tools that look annotations up by id lose one "
        "of them.",
        "Both are used; the later one goes by its id with its place in the list behind it.",
        "Give each annotation an id of its own.",
    ),
    Reason(
        "annotated_twice", "", "Same object annotated twice",
        "The annotation covers the same pixels as an earlier one of its class (at least 95 % of both in common), as "
        "when a file is imported twice.",
        "Both are drawn; where they overlap one hides the other, so that no pixel counts twice in the masks.",
        "Delete one of them: counts of objects, and balances made from them, are wrong otherwise.",
    ),
    Reason(
        "annotated_as_two_classes", "", "Same object with two classes",
        "The annotation covers the same pixels as an earlier one of another class (at least 95 % of both in common). "
        "One of the two contradicts the other.",
        "Both are drawn; the one on top decides what the mask says.",
        "Decide which class it is, and delete the other annotation; or say which class is on top.",
        ("rasterize.priority",),
    ),
    Reason(
        "whole_frame", "", "Covers the whole photograph",
        "One annotation covers at least 98 % of the photograph: a close-up, or more likely a box that stands for "
        "the picture, a mask that was inverted, or a frame that was annotated by mistake.",
        "It is drawn as it is.",
        "Look at the examples; delete the annotation, or draw the object's outline.",
    ),
    Reason(
        "nested_rings", "", "Outline inside an outline",
        "One of the annotation's rings lies wholly within another of them. Many tools draw a hole so; in COCO's lists "
        "of rings it means nothing.",
        "The rings are united, so that the inner one changes nothing; or it cuts a hole, where the setting says so.",
        "If such rings are meant as holes, change the setting.",
        ("validate.holes",),
    ),
    Reason(
        "area_of_box", "", "Declared area is the box's",
        "The annotation's field area holds the area of the box around the object, not that of its outline, as some "
        "export tools write it.",
        "The outline is drawn; the declared area is used nowhere.",
        "Nothing for this pipeline. Tools that sort objects by area (COCO's small, medium and large) are misled.",
    ),
    Reason(
        "area_disagrees", "", "Declared area is another",
        "The annotation's field area differs from the area of its outline by more than 5 % and 10 pixels: the outline "
        "was changed after it was measured, or is not the one that was meant.",
        "The outline is drawn; the declared area is used nowhere.",
        "Look whether the outline fits the object; export the annotations again.",
    ),
    Reason(
        "vanished_at_training_size", "", "Too small for the training size",
        "The object shows in the mask and has no pixel left when the photograph is made as small as the network "
        "sees it: nothing can be learned from it, but it counts in the scores.",
        "The mask has it at full size; the training picture does not.",
        "Train at a larger size.",
        ("photos.height", "photos.width"),
    ),
    Reason(
        "near_duplicate_photographs", "", "Nearly the same photograph",
        "The photograph looks almost like an earlier one: a copy that was saved again, made smaller, mirrored or "
        "framed, a neighbouring frame of a video, a second shot of a burst. Copies that were changed more, as by "
        "turning them a few degrees, are found in part (bench/RESULTS.md).",
        "Both are kept, on the same side of the split unless the source's own split or a pin parts them.",
        "Keep one of each if they show the same. Many of them make a data set look larger than it is.",
        ("split.near_duplicate_bits",),
    ),
    Reason(
        "leaked_photographs", "", "Seen in training",
        "A photograph of the validation or test side has an equal or nearly equal one, a copy by its name, or one of "
        "its scene, on another side. Its score says little about new photographs.",
        "It stays on the side that the source's own split, or a pin, gives it.",
        "Take the split by content, which keeps such photographs together, or move them in the source.",
        ("split.max_leaks", "split.method", "split.pins"),
    ),
)  # fmt: skip

WORDS = {reason.code: reason for reason in FINDINGS}
