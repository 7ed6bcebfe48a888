"""Index masks: masks/<path>.png, one palette PNG a photograph, drawn by the pipeline's own rules, and classes.txt."""

from segpipe.convert import drawn
from segpipe.convert.drawn import Job
from segpipe.convert.target import LOST_FLAGS, Target, Written, by_path, pages, places, suffix
from segpipe.core.files import write_text
from segpipe.data.records import Dataset
from segpipe.ledger.rows import Row
from segpipe.masks import label_png


def write(dataset: Dataset, target: Target) -> Written:
    """Write a mask for each photograph; pixel = line of classes.txt from 0, 0 is background, 255 is ignore."""
    written = Written()
    categories = drawn.check_names(dataset.categories, written)
    found = pages(dataset, target.root, written)
    place_of = places([page.image for page in found], by_path)
    jobs = drawn.jobs(found, categories, target, place_of)
    drawn.each(_write, jobs, written, target)
    written.changed["objects became pixels of their class"] = written.counts["objects"]
    written.changed[LOST_FLAGS] = sum(bool(instance.flags) for page in found for instance in page.instances)
    write_text(target.out / "classes.txt", "".join(f"{name}\n" for name in jobs[0].classes.names))
    return written


def _write(job: Job) -> list[Row]:
    drawing, rows = drawn.draw(job)
    if drawing:
        label_png.write(job.target.out / "masks" / f"{job.place}.png", drawing.painted.label_map(), job.classes)
        job.target.put_photograph(drawing.image.file, f"images/{job.place}{suffix(drawing.image, job.target.root)}")
    return rows
