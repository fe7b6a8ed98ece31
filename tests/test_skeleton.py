"""The built-in skeletons, and those of files."""

import json
from pathlib import Path

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.skeleton import COCO17, MPII16, SKELETONS, Side, Skeleton, find_skeleton


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_skeleton_joints_edges_and_sigmas_are_consistent(skeleton) -> None:
    k = len(skeleton.joints)
    assert len(set(skeleton.joints)) == k
    assert {i for edge in skeleton.edges for i in edge} == set(range(k))
    assert len(skeleton.sigmas) in (0, k)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_skeleton_flip_order_swaps_only_left_and_right(skeleton) -> None:
    mirrored = [skeleton.joints[i] for i in skeleton.flip_order()]
    swap = {"left": "right", "right": "left"}
    for name, other in zip(skeleton.joints, mirrored, strict=True):
        side, _, part = name.partition("_")
        assert other == (f"{swap[side]}_{part}" if side in swap else name)


def test_skeleton_flip_pairs_equal_published_coco_and_mpii() -> None:
    assert COCO17.flip_pairs == tuple((i, i + 1) for i in range(1, 16, 2))
    assert MPII16.flip_pairs == ((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13))


def test_skeleton_edge_side_is_side_shared_by_its_joints() -> None:
    sides = dict(zip(COCO17.edges, COCO17.edge_sides(), strict=True))
    assert sides[5, 7] == sides[5, 11] == Side.LEFT
    assert sides[12, 14] == Side.RIGHT
    assert sides[5, 6] == sides[0, 1] == Side.MIDDLE


FIELDS = {
    "joints": ["tail", "left_ear", "right_ear"],
    "edges": [["left_ear", "right_ear"], ["right_ear", "tail"]],
    "flip_pairs": [["left_ear", "right_ear"]],
    "sigmas": [0.1, 0.025, 0.025],
}
TOML = """
joints = ["tail", "left_ear", "right_ear"]
edges = [["left_ear", "right_ear"], ["right_ear", "tail"]]
flip_pairs = [["left_ear", "right_ear"]]
sigmas = [0.1, 0.025, 0.025]
"""


def test_skeleton_file_in_toml_equals_json(tmp_path: Path) -> None:
    (tmp_path / "cat.toml").write_text(TOML)
    (tmp_path / "cat.json").write_text(json.dumps(FIELDS))
    wanted = Skeleton("cat", tuple(FIELDS["joints"]), ((1, 2), (2, 0)), ((1, 2),), (0.1, 0.025, 0.025))
    assert find_skeleton(str(tmp_path / "cat.toml")) == find_skeleton(str(tmp_path / "cat.json")) == wanted
    assert find_skeleton("mpii16") is MPII16


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"joints": []}, "joints: expected array of length >= 1"),
        ({"joints": ["tail", "left_ear", "right_ear", "tail"]}, "joints are different names"),
        ({"edges": [["tail", "nose"]]}, "edges has 'nose', which is no joint"),
        ({"edges": [["tail"]]}, r"edges\[0\]: expected array of length 2, got 1"),
        ({"edges": [["tail", "tail"]]}, r"edges are pairs of two joints, not \['tail', 'tail'\]"),
        ({"flip_pairs": [["tail", "left_ear"], ["tail", "right_ear"]]}, "a joint is in two flip_pairs"),
        ({"sigmas": [0.1]}, "sigmas are 3 numbers, one a joint"),
        ({"bones": []}, "bones means nothing here"),
        ({"edges": 7}, "edges: expected array, got int"),
        ({"sigmas": [0.1, 0, 0.1]}, r"sigmas\[1\]: expected float > 0"),
        ({"joints": ["tail", None]}, r"joints\[1\]: expected str, got null"),
    ],
)
def test_skeleton_file_error_names_invalid_field(change, words, tmp_path: Path) -> None:
    path = tmp_path / "cat.json"
    path.write_text(json.dumps(FIELDS | change))
    with pytest.raises(BadInput, match=rf"cat\.json describes no skeleton \(.*{words}"):
        find_skeleton(str(path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"joints": ("tail", "tail", "nose")}, "joints are different names"),
        ({"sigmas": (0.1,)}, "sigmas are 3 numbers, one a joint"),
        ({"edges": ((0, 3),)}, r"edges are pairs of two joints from 0 to 2, not \[0, 3\]"),
        ({"edges": ((-1, 1),)}, r"edges are pairs of two joints from 0 to 2, not \[-1, 1\]"),
        ({"edges": ((0, 1, 2),)}, r"edges are pairs of two joints from 0 to 2, not \[0, 1, 2\]"),
        ({"flip_pairs": ((1, 1),)}, r"flip_pairs are pairs of two joints from 0 to 2, not \[1, 1\]"),
        ({"flip_pairs": ((1, 2), (0, 1))}, "a joint is in two flip_pairs"),
    ],
)
def test_skeleton_made_in_python_is_checked(change, words) -> None:
    with pytest.raises(BadInput, match=words):
        Skeleton(
            **{"name": "cat", "joints": ("tail", "left_ear", "right_ear"), "edges": (), "flip_pairs": ()}
            | change
        )


def test_skeleton_unknown_name_or_missing_file_raises_bad_input(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput,
        match=r"no `skeleton` 'dog': choose coco17, mpii16, ap10k17, halpe26, wholebody133, or",
    ):
        find_skeleton("dog")
    with pytest.raises(
        BadInput, match=r"dog\.toml cannot be read \(No such file or directory\): check the path"
    ):
        find_skeleton(str(tmp_path / "dog.toml"))


@pytest.mark.parametrize(("name", "joints"), [("halpe26", 26), ("wholebody133", 133), ("ap10k17", 17)])
def test_built_in_skeleton_is_complete_and_its_sides_are_paired(name, joints) -> None:
    skeleton = find_skeleton(name)
    assert (skeleton.name, len(skeleton.joints), len(skeleton.sigmas)) == (name, joints, joints)
    for left, right in skeleton.flip_pairs:
        if "face" not in skeleton.joints[left]:
            assert skeleton.joints[left].removeprefix("left_") == skeleton.joints[right].removeprefix(
                "right_"
            )
    paired = {joint for pair in skeleton.flip_pairs for joint in pair}
    assert paired >= {i for i, joint in enumerate(skeleton.joints) if joint.startswith(("left_", "right_"))}


def test_first_joints_of_larger_skeletons_are_those_of_coco() -> None:
    for name in ("halpe26", "wholebody133"):
        assert find_skeleton(name).joints[:17] == COCO17.joints
        assert find_skeleton(name).sigmas[:17] == COCO17.sigmas
