"""A one-stage network of Ultralytics: boxes and joints of the whole frame in one pass, eager fp32.

python yolo_pose.py [MODEL.yaml or .pt] [SIZE]

From a .yaml its weights are random: it finds nobody, and costs what it costs.
"""

import os
import sys

import numpy as np
import torch
from protocol import serve

os.environ.setdefault("YOLO_OFFLINE", "True")
from ultralytics import YOLO

if __name__ == "__main__":
    model = sys.argv[1] if len(sys.argv) > 1 else "yolo26s-pose.yaml"
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 640
    torch.manual_seed(0)
    net = YOLO(model, task="pose", verbose=False)

    def work(image: np.ndarray, boxes: np.ndarray) -> None:
        net.predict(image, imgsz=size, conf=0.3, verbose=False)

    serve(f"{model.removesuffix('.yaml')} at {size}, eager PyTorch fp32", work)
