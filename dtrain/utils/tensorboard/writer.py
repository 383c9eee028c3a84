"""`SummaryWriter`: tensorboardX's, which is given arrays in place of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dtrain.autograd import Tensor
from dtrain.backend import to_host
from dtrain.backend.nested import map_nested
from dtrain.backend.optional_packages import import_optional
from dtrain.utils.tensorboard.graph import make_graph


class SummaryWriter:
    """Writes scalars, histograms, images, texts and more for TensorBoard.

    Mirrors torch.utils.tensorboard.SummaryWriter. Tensors may be on any device and require grad.
    Each rank that makes one writes a file of its own: guard it by `rank() == 0` for one of all.

    Parameters
    ----------
    log_dir : the folder; default: runs/DATE_TIME_HOST
    comment : a suffix of the default folder
    purge_step : hide what an earlier run wrote from this step on
    max_queue, flush_secs : after how many events, and seconds, the file is written
    filename_suffix : a suffix of the file's name

    Raises
    ------
    MissingModuleError
        If tensorboardX is not installed.

    Examples
    --------
    >>> writer = SummaryWriter("runs/a")  # doctest: +SKIP
    >>> writer.add_scalar("loss", 0.5, global_step=1)  # doctest: +SKIP
    """

    add_audio: Callable[..., None]
    add_custom_scalars: Callable[..., None]
    add_embedding: Callable[..., None]
    add_figure: Callable[..., None]
    add_histogram: Callable[..., None]
    add_histogram_raw: Callable[..., None]
    add_image: Callable[..., None]
    add_image_with_boxes: Callable[..., None]
    add_images: Callable[..., None]
    add_mesh: Callable[..., None]
    add_pr_curve: Callable[..., None]
    add_text: Callable[..., None]
    add_video: Callable[..., None]

    def __init__(
        self,
        log_dir: str | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ):
        tensorboardX = import_optional(
            "tensorboardX", "tensorboardX", "tensorboard", "utils.tensorboard needs"
        )
        self._writer = tensorboardX.SummaryWriter(
            None if log_dir is None else str(log_dir),
            comment=comment,
            purge_step=purge_step,
            max_queue=max_queue,
            flush_secs=flush_secs,
            filename_suffix=filename_suffix,
        )

    @property
    def log_dir(self) -> str:
        """The folder of the event file."""
        return self._writer.logdir

    def get_logdir(self) -> str:
        """The folder of the event file."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """A number; tensorboardX has one form for `new_style` and `double_precision`."""
        self._writer.add_scalar(tag, _to_number(scalar_value), global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Numbers in one diagram."""
        numbers = {tag: _to_number(value) for tag, value in tag_scalar_dict.items()}
        self._writer.add_scalars(main_tag, numbers, global_step, walltime)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Any = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Hyperparameters and what came of them; the domains are the values that occur."""
        metrics = {name: _to_number(value) for name, value in metric_dict.items()}
        hparams = map_nested(dict(hparam_dict), Tensor, _to_array)
        self._writer.add_hparams(hparams, metrics, run_name, global_step)

    def add_graph(
        self,
        model: Any,
        input_to_model: Any = None,
        verbose: bool = False,
        use_strict_trace: bool = True,
    ) -> None:
        """The model's modules, with what is inside of each (torch: its operations)."""
        self._writer._get_file_writer().add_onnx_graph(make_graph(model))

    def flush(self) -> None:
        """Write what is waiting."""
        self._writer.flush()

    def close(self) -> None:
        """Write what is waiting, and close the file."""
        self._writer.close()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _make_method(name: str, doc: str) -> Callable[..., None]:
    """The method `name`: tensorboardX's, with arrays in place of tensors."""

    def method(self: SummaryWriter, *args: Any, **kwargs: Any) -> None:
        args, kwargs = map_nested((args, kwargs), Tensor, _to_array)
        getattr(self._writer, name)(*args, **kwargs)

    method.__name__, method.__qualname__ = name, f"SummaryWriter.{name}"
    method.__doc__ = doc
    return method


#: The methods whose arguments are passed on, with PyTorch's names and in its order.
_PASSED_ON = {
    "add_audio": "A sound: (tag, snd_tensor, global_step, sample_rate, walltime).",
    "add_custom_scalars": "A layout of diagrams: (layout).",
    "add_embedding": "Points of many dimensions: (mat, metadata, label_img, global_step, tag, "
    "metadata_header).",
    "add_figure": "Matplotlib's figure: (tag, figure, global_step, close, walltime).",
    "add_histogram": "The distribution of values: (tag, values, global_step, bins, walltime, "
    "max_bins).",
    "add_histogram_raw": "A histogram that is computed already: (tag, min, max, num, sum, "
    "sum_squares, bucket_limits, bucket_counts, global_step, walltime).",
    "add_image": "A picture: (tag, img_tensor, global_step, walltime, dataformats='CHW').",
    "add_image_with_boxes": "A picture with boxes: (tag, img_tensor, box_tensor, global_step, "
    "walltime, dataformats='CHW').",
    "add_images": "A grid of pictures: (tag, img_tensor, global_step, walltime, "
    "dataformats='NCHW').",
    "add_mesh": "A mesh in space: (tag, vertices, colors, faces, config_dict, global_step, "
    "walltime).",
    "add_pr_curve": "Precision and recall: (tag, labels, predictions, global_step, "
    "num_thresholds, weights, walltime).",
    "add_text": "A text in Markdown: (tag, text_string, global_step, walltime).",
    "add_video": "A film: (tag, vid_tensor, global_step, fps, walltime).",
}  # fmt: skip
for _name, _doc in _PASSED_ON.items():
    setattr(SummaryWriter, _name, _make_method(_name, f"{_doc[:-1]} (as tensorboardX's)."))


def _to_number(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value


def _to_array(tensor: Tensor) -> Any:
    """The tensor's elements as a NumPy array."""
    array = to_host(tensor.detach().array)
    return array.astype("float32") if array.dtype.kind == "V" else array
