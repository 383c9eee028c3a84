"""Counts changes to sets of parameters, so that whoever keeps parameters in buckets notices them.

A change is: a leaf begins or stops to require gradients, the memory of a tensor is replaced by
another (of another dtype or device), or a module registers, replaces or deletes a parameter or a
submodule. To compare the count with an earlier one costs next to nothing, and tells whether it is
worth looking for what has changed.
"""

from __future__ import annotations


class ChangeCounter:
    """The number of changes in this process, to any parameters; ranks as threads share it."""

    count: int = 0

    def note(self) -> None:
        """Count a change."""
        self.count += 1


parameter_changes: ChangeCounter = ChangeCounter()

#: the number of attributes that were set on modules
attribute_changes: ChangeCounter = ChangeCounter()
