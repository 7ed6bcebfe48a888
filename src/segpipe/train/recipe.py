"""Everything one may choose about a training run, checked when it is written down."""

from dataclasses import dataclass, field
from typing import Literal

ClassWeights = Literal["none", "median_frequency", "effective_number"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "poly"]
Ship = Literal["best", "last"]
Compile = Literal["auto", "off", "default", "reduce-overhead"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Augment:
    """How strongly pictures are varied; 0 switches a part off.

    scale: zoom between 1 / (1 + scale) and 1 + scale; rotate_deg: turned by up to so many degrees either way;
    flip, flip_vertical: probability of a mirrored picture, left-right and upside down; brightness, contrast,
    saturation: factors between 1 - x and 1 + x; hue: turned by up to this part of the colour circle either way.
    """

    scale: float = 0.5
    rotate_deg: float = 5.0
    flip: float = 0.5
    flip_vertical: float = 0.0
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    hue: float = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """How much each part counts in the loss (segpipe.train.losses says what each is); 0 leaves it out."""

    cross_entropy: float = 1.0
    dice: float = 1.0
    focal: float = 0.0
    lovasz: float = 0.0
    ohem: float = 0.0
    boundary: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How to train.

    epochs: passes over the training pictures; batch_size: pictures per step, 2 or more (batch norm);
    crop_hw: (height, width) in pixels that the network sees in training, None for the store's whole size;
    accumulate: parts in which a step's batch_size x accumulate pictures go through the network, for want of memory;
    optimizer, schedule: how weights follow the gradient and how the learning rate falls;
    lr: the peak learning rate; encoder_lr_factor: times that for the pretrained encoder; warmup_epochs: linear
    rise, may be a fraction; label_smoothing: part of the truth spread over all classes; clip_norm: limit of the
    gradient's length;
    rare_class_share: part of the crops that is placed around a pixel of a rare class;
    freeze_epochs: so many first epochs leave the encoder as it is; ema_decay: of the average of the weights that is
    validated and shipped, 0 for the weights themselves; ship: the weights of the best epoch or the last one's;
    patience: epochs without a better one after which training ends, 0 for none;
    budget_seconds: wall clock of all runs of this training together, validation included, None for no limit;
    checkpoint_minutes: at most so much work is lost by a kill; amp: bfloat16 on a GPU (never on a CPU); strict: only
    algorithms that give equal bytes on a GPU as well; compile: torch.compile's mode, "auto" to be planned.
    """

    epochs: int
    batch_size: int = 8
    accumulate: int = 1
    crop_hw: tuple[int, int] | None = None
    optimizer: Optimizer = "adamw"
    schedule: Schedule = "cosine"
    lr: float = 1e-3
    weight_decay: float = 1e-2
    encoder_lr_factor: float = 0.3
    warmup_epochs: float = 0.5
    loss: Loss = field(default_factory=Loss)
    label_smoothing: float = 0.0
    class_weights: ClassWeights = "none"
    clip_norm: float = 5.0
    rare_class_share: float = 0.0
    freeze_epochs: int = 0
    ema_decay: float = 0.0
    ship: Ship = "best"
    patience: int = 0
    augment: Augment = field(default_factory=Augment)
    budget_seconds: float | None = None
    checkpoint_minutes: float = 5.0
    amp: bool = True
    strict: bool = False
    compile: Compile = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(f"epochs {self.epochs} must be at least 1 and batch_size {self.batch_size} at least 2")

    @property
    def pictures_per_step(self) -> int:
        """How many pictures one step of the optimiser takes."""
        return self.batch_size * self.accumulate
