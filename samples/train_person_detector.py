"""Train a person detector with Ultralytics' trainer, on the same data as the pose network.

    python samples/train_person_detector.py people.json images/ runs/detector --epochs 20 --imgsz 320

Writes `runs/detector/data` in Ultralytics' format (links to the images, a text file of boxes for each,
`data.yaml`) and starts the training. One image in ten is for validation, the same images that
`hrpose-rt train` holds out.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from hrpose_rt.evaluation.annotations import AnnotatedPeople, load_people
from hrpose_rt.training.dataset import ImageCache

HOLD_OUT = 10


def main() -> None:
    """Write the data, then train unless --prepare-only is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("annotations", type=Path, help="COCO keypoints or MPII json")
    parser.add_argument("images", type=Path, help="the folder of their pictures")
    parser.add_argument("output", type=Path, help="a folder for data and weights")
    parser.add_argument(
        "--model", default="yolo26n.yaml", help="Ultralytics model, .yaml for random weights"
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--prepare-only", action="store_true", help="write the data and stop")
    options = parser.parse_args()
    data = write_data(load_people(options.annotations, options.images), options.output / "data")
    print(f"wrote {data}")
    if not options.prepare_only:
        from ultralytics import YOLO

        YOLO(options.model).train(
            data=str(data),
            epochs=options.epochs,
            imgsz=options.imgsz,
            project=str(options.output.resolve()),
            name="weights",
            single_cls=True,
            plots=False,
        )


def write_data(people: AnnotatedPeople, folder: Path) -> Path:
    """Write `people` in Ultralytics' format; returns the path of `data.yaml`.

    An image's text file has one line per person: class 0, then centre and size as shares of the image.
    """
    pictures = ImageCache(limit=0)
    kept = people.held_out(HOLD_OUT)
    for image, path in enumerate(people.images):
        rows = np.flatnonzero(people.image_rows == image)
        if not len(rows):
            continue
        part = "val" if kept[rows[0]] else "train"
        name = f"{image:06}{path.suffix}"  # images from several folders may have the same name
        link(path.resolve(), folder / "images" / part / name)
        h, w = pictures.read(people, int(rows[0])).shape[:2]
        boxes = people.boxes[rows] / np.array([w, h, w, h], np.float32)
        centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        lines = np.concatenate([np.zeros((len(rows), 1)), centres, sizes], axis=1)
        label = folder / "labels" / part / f"{image:06}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(label, lines, fmt="%g")
    file = folder / "data.yaml"
    file.write_text(
        f"path: {folder.resolve()}\ntrain: images/train\nval: images/val\nnames:\n  0: person\n"
    )
    return file


def link(target: Path, path: Path) -> None:
    """Make `path` a link to `target`, and replace what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.symlink(target, path)


if __name__ == "__main__":
    main()
