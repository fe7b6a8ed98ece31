"""`hrpose-rt eval`: scores of networks and of files of predictions."""

from hrpose_rt.cli.app import App
from hrpose_rt.cli.eval_coco import eval_coco
from hrpose_rt.cli.eval_detector import eval_detector
from hrpose_rt.cli.eval_mpii import eval_mpii

app = App(no_args_is_help=True, help="Score networks, or files of predictions.")
app.command("coco")(eval_coco)
app.command("mpii")(eval_mpii)
app.command("detector")(eval_detector)
