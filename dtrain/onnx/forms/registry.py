"""The ONNX form of each primitive: name → what adds its nodes, a table for each family.

A form takes a Builder and the primitive's arguments, with a Wire for each array, and returns a
Wire, or several where the primitive returns several. A primitive without one is refused by name.
"""

from dtrain.onnx.forms import (
    activations,
    arithmetic,
    arrays,
    comparison,
    indexing,
    layers,
    losses,
    normalization,
    recurrent,
    reductions,
    rounding,
    shapes,
    sorting,
    windows,
)
from dtrain.onnx.forms.table import Form

FORMS: dict[str, Form] = {
    **activations.FORMS,
    **arithmetic.FORMS,
    **arrays.FORMS,
    **comparison.FORMS,
    **indexing.FORMS,
    **layers.FORMS,
    **losses.FORMS,
    **normalization.FORMS,
    **recurrent.FORMS,
    **reductions.FORMS,
    **rounding.FORMS,
    **shapes.FORMS,
    **sorting.FORMS,
    **windows.FORMS,
}
