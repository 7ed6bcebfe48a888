"""Index masks: a palette PNG per image in masks/, drawn by the pipeline's rules, and classes.txt with the names."""

from segpipe.convert import drawn
from segpipe.convert.drawn import ConversionJob
from segpipe.convert.target import LOST_FLAGS, Target, Written, annotated_images, by_path, suffix, target_stems
from segpipe.core.files import write_text
from segpipe.data.records import Dataset
from segpipe.ledger.rows import Row
from segpipe.masks import label_png


def write(dataset: Dataset, target: Target) -> Written:
    """Write a mask for each image. A pixel's value is the line of its class in classes.txt, counted from 0.

    0 is background, 255 is ignore.
    """
    written = Written()
    categories = drawn.check_names(dataset.categories, written)
    images = annotated_images(dataset, target.root, written)
    stems = target_stems([annotated.image for annotated in images], by_path)
    jobs = drawn.jobs(images, categories, target, stems)
    drawn.write_each(_write, jobs, written, target)
    written.changed["object: as pixels of the class"] = written.counts["object"]
    written.changed[LOST_FLAGS] = sum(bool(instance.flags) for annotated in images for instance in annotated.instances)
    write_text(target.out / "classes.txt", "".join(f"{name}\n" for name in jobs[0].classes.names))
    return written


def _write(job: ConversionJob) -> list[Row]:
    drawing, rows = drawn.draw(job)
    if drawing:
        label_png.write(job.target.out / "masks" / f"{job.stem}.png", drawing.painted.label_map(), job.classes)
        job.target.copy_photo(drawing.image.file, f"images/{job.stem}{suffix(drawing.image, job.target.root)}")
    return rows
