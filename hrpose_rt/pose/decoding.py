"""The decoder that fits a network's output."""

from hrpose_rt.errors import BadInput
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.pose.ankles import Ankles
from hrpose_rt.pose.base import KeypointDecoder
from hrpose_rt.pose.heatmaps import HEATMAP_DECODERS, merge_flipped
from hrpose_rt.pose.simcc import SimccDecoder
from hrpose_rt.skeleton import Skeleton, find_skeleton
from hrpose_rt.types import F32

INTERCHANGEABLE = ("quarter", "dark")  # the decodings that fit the same weights


class HeatmapDecoder:
    """Decodes heatmaps (N, K, H, W).

    Args:
        spec: Spec of the network.
        skeleton: Its joints.
        decode: A key of `HEATMAP_DECODERS`.
    """

    def __init__(self, spec: EngineSpec, skeleton: Skeleton, decode: str) -> None:
        self.grid_hw = spec.heatmap_hw
        self.output_shape: tuple[int, ...] = (len(skeleton.joints), *spec.heatmap_hw)
        self._decode = HEATMAP_DECODERS[decode]
        self._ankles = Ankles.of(skeleton) if spec.part_ankles else None
        self._flip_order, self._udp = skeleton.flip_order(), decode == "udp"

    def decode(self, output: F32) -> tuple[F32, F32]:
        """See `KeypointDecoder.decode`."""
        return self._decode(output, self._ankles)

    def merge_flipped(self, output: F32, mirrored: F32) -> F32:
        """See `KeypointDecoder.merge_flipped`."""
        return merge_flipped(output, mirrored, self._flip_order, self._udp)


def keypoint_decoder(spec: EngineSpec, decode: str = "auto") -> KeypointDecoder:
    """The decoder for a pose network.

    Args:
        spec: Spec of the network.
        decode: "quarter" or "dark", which fit the same weights, or "auto" for the spec's own.

    Raises:
        BadInput: The network was not trained for that decoding.
    """
    decode = spec.decode if decode == "auto" else decode
    if decode != spec.decode and not {decode, spec.decode} <= set(INTERCHANGEABLE):
        raise BadInput(f"{spec.model} is read with {spec.decode}, which `decode` {decode} does not fit")
    skeleton = find_skeleton(spec.skeleton)
    if decode == "simcc":
        return SimccDecoder(spec.heatmap_hw, skeleton.flip_order())
    return HeatmapDecoder(spec, skeleton, decode)


def check_shape(shape: tuple[int, ...], spec: EngineSpec) -> None:
    """Raise BadInput if the output for one person has another shape than the spec says."""
    expected = keypoint_decoder(spec).output_shape
    if shape != expected:
        name = find_skeleton(spec.skeleton).name
        kind = "SimCC vectors" if spec.decode == "simcc" else "heatmaps"
        raise BadInput(
            f"{spec.model} gives {kind} {shape}, and {name} in its spec asks for {expected}: give the "
            "skeleton it was trained for with `skeleton`"
        )
