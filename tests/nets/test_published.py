"""What names of checkpoints say."""

import pytest

from hrpose_rt.nets.published import PUBLISHED, read_name


@pytest.mark.parametrize(
    ("stem", "size", "decode"),
    [
        ("pose_hrnet_w48_384x288", (384, 288), "quarter"),  # the original's own names
        ("pose_hrnet_w32_256x192", (256, 192), "quarter"),
        ("w32_256x192_dark", (256, 192), "dark"),
        ("w32_128x96_dark", (128, 96), "dark"),
        ("hrnet-w32-udp-384x288", (384, 288), "udp"),
        ("HRNet_W48_DarkPose_256x256", (256, 256), "dark"),
        ("w32_256x192_udp_dark", (256, 192), "udp"),  # UDP is about the crops, too
        ("w32_256x192", (256, 192), None),
        ("darkness", None, None),
        ("best", None, None),
        ("run_100x100_8xb64", None, None),  # no sizes of a network
        ("2560x1920", None, None),
    ],
)
def test_checkpoint_name_gives_input_size_and_decode(stem, size, decode) -> None:
    assert read_name(stem) == (size, decode)


@pytest.mark.parametrize("model", PUBLISHED.values(), ids=PUBLISHED)
def test_published_file_names_agree_with_input_size_and_decode(model) -> None:
    size, decode = read_name(model.file_name.removesuffix(".pth"))
    assert size == model.input_hw
    assert (decode or "quarter") == model.decode
