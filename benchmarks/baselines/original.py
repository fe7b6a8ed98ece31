"""The original experiment's loop: Faster R-CNN, then HRNet on its people, in eager PyTorch fp32.

python original.py WEIGHTS.pth [HEIGHTxWIDTH]

The detector's weights are random, which changes nothing about its cost once the number of its proposals is
fixed; the people it would find are those given.
"""

import sys

import numpy as np
import torch
from batched_eager import EagerPose, parse
from protocol import serve
from torchvision.models.detection import fasterrcnn_resnet50_fpn

PROPOSALS = 1000  # torchvision's default for a frame; here always exactly so many
NOBODY = 0.9  # the original's threshold, which random weights never reach


class Original:
    """Detector at its default size, then everybody's crops in one batch, as its demo does."""

    def __init__(self, pose: EagerPose) -> None:
        torch.manual_seed(0)
        self._detector = fasterrcnn_resnet50_fpn(
            weights=None,
            weights_backbone=None,
            rpn_pre_nms_top_n_test=PROPOSALS,
            rpn_post_nms_top_n_test=PROPOSALS,
            rpn_nms_thresh=1.0,
            box_score_thresh=NOBODY,
        ).eval()
        self._pose = pose

    def __call__(self, image: np.ndarray, boxes: np.ndarray) -> None:
        picture = torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            self._detector([picture])
        self._pose(image, boxes)


if __name__ == "__main__":
    serve("the original's loop", Original(EagerPose(*parse(sys.argv[1:], "384x288"))))
