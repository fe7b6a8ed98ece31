"""The built-in skeletons."""

import pytest

from hrpose_rt.skeleton import COCO17, MPII16, SKELETONS, Side


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_a_skeleton_holds_together(skeleton) -> None:
    k = len(skeleton.joints)
    assert len(set(skeleton.joints)) == k
    assert {i for edge in skeleton.edges for i in edge} == set(range(k))
    assert len(skeleton.sigmas) in (0, k)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_a_mirror_swaps_left_and_right_and_nothing_else(skeleton) -> None:
    mirrored = [skeleton.joints[i] for i in skeleton.flip_order()]
    swap = {"left": "right", "right": "left"}
    for name, other in zip(skeleton.joints, mirrored, strict=True):
        side, _, part = name.partition("_")
        assert other == (f"{swap[side]}_{part}" if side in swap else name)


def test_flip_pairs_are_the_published_ones() -> None:
    assert COCO17.flip_pairs == tuple((i, i + 1) for i in range(1, 16, 2))
    assert MPII16.flip_pairs == ((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13))


def test_limbs_take_the_side_that_their_joints_share() -> None:
    sides = dict(zip(COCO17.edges, COCO17.edge_sides(), strict=True))
    assert sides[5, 7] == sides[5, 11] == Side.LEFT
    assert sides[12, 14] == Side.RIGHT
    assert sides[5, 6] == sides[0, 1] == Side.MIDDLE
