"""Index masks: masks/<path>.png, one palette PNG a photograph, drawn by the pipeline's own rules, and classes.txt."""

from segpipe.dataset.ledger import Row
from segpipe.files import write_text
from segpipe.masks import label_png
from segpipe.records import Dataset
from segpipe.writers import label_maps
from segpipe.writers.label_maps import Job
from segpipe.writers.target import LOST_FLAGS, Target, Written, by_path, pages, places, suffix


def write(dataset: Dataset, target: Target) -> Written:
    """Write a mask for each photograph; pixel = line of classes.txt from 0, 0 is background, 255 is ignore."""
    written = Written()
    categories = label_maps.check_names(dataset.categories, written)
    found = pages(dataset, target.root, written)
    place_of = places([page.image for page in found], by_path)
    jobs = label_maps.jobs(found, categories, target, place_of)
    label_maps.each(_write, jobs, written, target)
    written.changed["objects became pixels of their class"] = written.counts["objects"]
    written.changed[LOST_FLAGS] = sum(bool(instance.flags) for page in found for instance in page.instances)
    write_text(target.out / "classes.txt", "".join(f"{name}\n" for name in jobs[0].classes.names))
    return written


def _write(job: Job) -> list[Row]:
    drawing, rows = label_maps.draw(job)
    if drawing:
        label_png.write(job.target.out / "masks" / f"{job.place}.png", drawing.label_map, job.classes)
        job.target.put_photograph(drawing.image.file, f"images/{job.place}{suffix(drawing.image, job.target.root)}")
    return rows
