"""The codes of reasons and findings, names alone: what `validate.limits` may name. reasons.py has their words."""

REASON_CODES = (
    *("missing_file", "unreadable", "unsupported_format", "size_mismatch", "no_matching_annotation", "not_annotated"),
    *("bad_record", "unknown_image", "ambiguous_image", "unknown_category", "bad_ring", "bad_rle", "zero_area"),
    *("outside_frame", "not_a_region", "image_lost", "image_skipped", "self_crossing", "ring_removed", "past_border"),
    *("crowd", "ignore", "box", "line", "point", "difficult", "occluded", "class_not_selected", "deleted", "repeated"),
    *("outside", "covered", "empty_mask", "fractions"),
)
CHANGES = ("first_page_only", "scaled_to_8_bit", "bands_not_used", "laid_on_white")  # of a photograph, while it is read
VALIDATE_FINDINGS = (
    *("turned_by_exif", "annotated_as_stored", "orientation_undecidable", "equal_files", "listed_twice"),
    *("found_elsewhere", "other_folder"),
    *CHANGES,
    *("background_only", "duplicate_id", "annotated_twice", "annotated_as_two_classes", "whole_frame", "nested_rings"),
    *("area_of_box", "area_disagrees"),
)
RASTERIZE_FINDINGS = ("vanished_at_training_size",)
SPLIT_FINDINGS = ("near_duplicate_photographs", "leaked_photographs")
FINDING_CODES = (*VALIDATE_FINDINGS, *RASTERIZE_FINDINGS, *SPLIT_FINDINGS)

DROPPED_CODES = {"image": "dropped_images", "annotation": "dropped_annotations"}  # all that a defect has cost

# What a stage is the first to know, and holds against validate.limits. Leaks have split.max_leaks.
KNOWN_TO_RASTERIZE = ("covered", *RASTERIZE_FINDINGS)
KNOWN_TO_SPLIT = ("empty_mask", "near_duplicate_photographs")
KNOWN_TO_VALIDATE = (
    *DROPPED_CODES.values(),
    *(code for code in REASON_CODES if code not in KNOWN_TO_RASTERIZE + KNOWN_TO_SPLIT),
    *VALIDATE_FINDINGS,
)
LIMITED_CODES = (*KNOWN_TO_VALIDATE, *KNOWN_TO_RASTERIZE, *KNOWN_TO_SPLIT)
