"""The section `train` of params.yaml: the network and how it is trained."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from segpipe.core.plurals import counted
from segpipe.core.settings import Positive, Settings, Share, Side

ClassWeights = Literal["none", "median_frequency", "effective_number"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "poly"]
Ship = Literal["best", "last"]
CompileMode = Literal["auto", "off", "default", "reduce-overhead"]
Weight = Annotated[float, Field(ge=0, le=100)]


class Augment(Settings):
    """The strength of the random changes to training images; 0 turns a change off."""

    scale: float = Field(0.25, ge=0, le=4, description="zoom between 1 / (1 + scale) and 1 + scale")
    rotate_deg: float = Field(10, ge=0, le=180, description="rotation in degrees, up to this angle in both directions")
    flip: Share = Field(0.5, description="share of the images mirrored left to right")
    flip_vertical: Share = Field(0.5, description="share of the images mirrored upside down")
    brightness: Share = Field(0.2, description="factor between 1 - x and 1 + x")
    contrast: Share = Field(0.2, description="factor between 1 - x and 1 + x")
    saturation: Share = Field(0.2, description="factor between 1 - x and 1 + x")
    hue: float = Field(0.02, ge=0, le=0.5, description="shift, up to this part of the colour circle in both directions")


class Loss(Settings):
    """The weight of each part of the loss; 0 leaves a part out. segpipe.train.losses defines the parts."""

    cross_entropy: Weight = Field(1, description="cross-entropy of every pixel")
    dice: Weight = Field(1, description="1 - Dice, from the probabilities")
    focal: Weight = Field(0, description="cross-entropy in which pixels predicted with certainty hardly count")
    lovasz: Weight = Field(0, description="a smooth form of 1 - IoU")
    ohem: Weight = Field(0, description="cross-entropy of the hardest pixels")
    boundary: Weight = Field(0, description="cross-entropy of the pixels next to another class")

    @model_validator(mode="after")
    def _has_a_part(self) -> "Loss":
        if not any(self.model_dump().values()):
            raise ValueError("at least one part must have a weight above 0")
        return self


def _weights(value: Any) -> Any:
    """Refuse a path to a file: a separate key has it, through which DVC sees the file. Raises ValueError."""
    if isinstance(value, str) and value not in ("imagenet", "file", "random"):
        raise ValueError("is imagenet, file or random; name a file in train.weights_file and set weights: file")
    return value


class Recipe(Settings):
    """The network and how it is trained."""

    architecture: str = Field(
        "unet",
        description="unet, unetplusplus, fpn, deeplabv3, deeplabv3plus, pspnet, segformer or upernet with an encoder "
        "of timm or segmentation_models_pytorch; dpt with a vit_... encoder; torchvision's deeplabv3_resnet50, "
        "deeplabv3_resnet101, fcn_resnet50 (encoder resnet50 or resnet101), deeplabv3_mobilenet_v3_large, "
        "lraspp_mobilenet_v3_large (encoder mobilenet_v3_large)",
    )
    encoder: str = Field("tf_efficientnet_lite0", description="for segformer mit_b0 to mit_b5")
    weights: Annotated[Literal["imagenet", "file", "random"], BeforeValidator(_weights)] = Field(
        "imagenet", description="first weights of the encoder"
    )
    weights_file: str = Field(
        "data/weights.pt", min_length=1, description="for weights file: state dict of the encoder, .pt or .safetensors"
    )
    epochs: Literal["auto"] | Annotated[int, Field(ge=1, le=10_000)] = Field(
        16, description="passes over the training images; auto: as many as fit in budget_hours"
    )
    batch_size: int = Field(4, ge=2, le=4096, description="images per batch; batch norm needs 2")
    accumulate: int = Field(1, ge=1, le=1024, description="batches per step of the optimizer")
    crop: tuple[Side, Side] | None = Field(
        None, description="[height, width] in pixels, cut out of each training image; null: the whole image"
    )
    optimizer: Optimizer = Field("adamw", description="sgd needs a learning rate about ten times as high")
    schedule: Schedule = Field("cosine", description="how the learning rate falls")
    lr: float = Field(0.002, gt=0, le=1, description="highest learning rate")
    encoder_lr_factor: float = Field(1, ge=0, le=1, description="factor of lr for the pretrained encoder")
    weight_decay: float = Field(0.01, ge=0, le=1, description="decoupled weight decay")
    warmup_epochs: float = Field(1, ge=0, description="epochs in which the learning rate rises; less than epochs")
    loss: Loss = Field(default_factory=Loss)
    label_smoothing: float = Field(0, ge=0, lt=1, description="part of the truth that is spread over all classes")
    class_weights: ClassWeights = Field("none", description="weights of the classes in the loss, from their pixels")
    rare_class_share: Share = Field(
        0, description="share of the crops that are placed around a pixel of a rare class (needs crop or augment.scale)"
    )
    freeze_epochs: int = Field(0, ge=0, description="first epochs in which the pretrained encoder does not change")
    ema_decay: float = Field(
        0.99, ge=0, lt=1, description="decay of the moving average of the weights, which is the model; 0: no average"
    )
    ship: Ship = Field("best", description="the model is that of the best epoch by validation mIoU, or of the last")
    flip_test: bool = Field(
        False, description="predict each image mirrored as well and use the mean: twice the time per image"
    )
    patience: int = Field(0, ge=0, description="training ends after this many epochs without improvement; 0: never")
    augment: Augment = Field(default_factory=Augment)
    budget_hours: Positive = Field(6, description="longest time of one training in hours, validation included")
    processes: int = Field(1, ge=1, le=64, description="processes that share each batch, one per GPU")
    amp: bool = Field(True, description="bfloat16 on GPUs that have it (compute capability 8.0 and above)")
    compile: bool = Field(True, description="torch.compile on one GPU, if a short test shows that it is faster")
    strict: bool = Field(False, description="equal bytes from equal runs on a GPU too, but slower; a CPU always does")

    clip_norm: ClassVar[float] = 5.0  # upper limit of the gradient's norm

    @property
    def budget_seconds(self) -> float:
        """The longest time of one training, in seconds."""
        return self.budget_hours * 3600

    @property
    def images_per_step(self) -> int:
        """Images per step of the optimizer."""
        return self.batch_size * self.accumulate

    @model_validator(mode="after")
    def _batch_is_divisible(self) -> "Recipe":
        if self.batch_size % self.processes:
            raise ValueError(f"batch_size {self.batch_size} cannot be divided among {self.processes} processes")
        return self

    @model_validator(mode="after")
    def _learning_rate_falls(self) -> "Recipe":
        if self.epochs == "auto":
            return self
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"in {counted(self.epochs, 'epoch')} with warmup_epochs {self.warmup_epochs:g} the learning rate only "
                f"rises; set warmup_epochs to {self.epochs / 2:g} or less"
            )
        if self.freeze_epochs >= self.epochs and self.weights == "random":
            raise ValueError(f"freeze_epochs {self.freeze_epochs} keeps a random encoder to the end; set it to 0")
        return self


class RunRecipe(Recipe):
    """A recipe with what one run of it adds: the seed, and what `planning` decides."""

    epochs: PositiveInt = 1
    seed: int = 0
    checkpoint_minutes: float = 5
    compile_mode: CompileMode = "auto"

    @classmethod
    def of(cls, recipe: Recipe, seed: int, checkpoint_minutes: float) -> "RunRecipe":
        """The recipe of a run; with `epochs: auto` for one epoch, until `planning` decides for how many."""
        planned = {
            "epochs": 1 if recipe.epochs == "auto" else recipe.epochs,
            "seed": seed,
            "checkpoint_minutes": checkpoint_minutes,
            "compile_mode": "auto" if recipe.compile else "off",
        }
        return cls.model_construct(**dict(recipe) | planned)  # checked when params.yaml was read
