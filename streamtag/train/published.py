"""What the authors of musicnn-training published of its nine architectures."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """Figures of one architecture on MagnaTagATune, from comments in musicnn-training's ``models.py``.

    Attributes
    ----------
    number : int
        Its ``model_number`` there.
    name : str
        What it is.
    parameters : int
        Those that are trained.
    roc_auc, pr_auc : float
        On the test set, macro-averaged over the 50 tags.
    cost : float
        On the validation set, weight decay included.
    """

    number: int
    name: str
    parameters: int
    roc_auc: float
    pr_auc: float
    cost: float


PUBLISHED = (
    Published(0, "dieleman", 66_784, 0.8861, 0.3413, 0.1390),
    Published(1, "vgg32", 40_884, 0.8885, 0.3485, 0.1373),
    Published(2, "vgg128", 605_748, 0.9026, 0.3819, 0.1343),
    Published(3, "timbre", 185_856, 0.8928, 0.3538, 0.1368),
    Published(10, "residual", 508_803, 0.9061, 0.3833, 0.1304),
    Published(11, "musicnn", 787_159, 0.9069, 0.3844, 0.1304),
    Published(12, "attention", 2_406_940, 0.9077, 0.3861, 0.1304),
    Published(13, "autopool", 636_701, 0.9067, 0.3853, 0.1297),
    Published(14, "lstm", 3_871_363, 0.9021, 0.3717, 0.1341),
)
