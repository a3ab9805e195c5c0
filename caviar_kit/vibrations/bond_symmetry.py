"""What rotations and mirrors of a crystal say about its force constants."""

from __future__ import annotations

import numpy as np

from caviar_kit.vibrations.symmetry import LatticeOperation

__all__ = ["equal_force_constants"]


def equal_force_constants(
    operations: list[LatticeOperation], first: np.ndarray, second: np.ndarray, cells: np.ndarray
) -> np.ndarray:
    """Linear conditions rows @ blocks = 0, blocks (4 bonds,): equivalent bonds have equivalent blocks.

    Bonds whose image is not among the bonds are left alone.
    """
    number = {(k, m, *cell): bond for bond, (k, m, cell) in enumerate(_bonds(first, second, cells))}
    rows = []
    for operation in operations:
        turned = np.kron(operation.matrix, operation.matrix)  # of a block, row by row: R Φ Rᵀ
        for bond, (k, m, cell) in enumerate(_bonds(first, second, cells)):
            image = np.array(cell) @ operation.cells + operation.hops[m] - operation.hops[k]
            k_image, m_image = int(operation.sites[k]), int(operation.sites[m])
            forward = number.get((k_image, m_image, *image.tolist()))
            backward = number.get((m_image, k_image, *(-image).tolist()))
            if forward is None and backward is None:
                continue
            row = np.zeros((4, len(first), 4))
            row[:, bond] -= turned
            if forward is not None:
                row[:, forward] += np.eye(4)
            else:
                row[:, backward] += np.eye(4)[[0, 2, 1, 3]]  # the transposed block
            rows.append(row.reshape(4, -1))
    return np.concatenate(rows) if rows else np.zeros((0, 4 * len(first)))


def _bonds(
    first: np.ndarray, second: np.ndarray, cells: np.ndarray
) -> list[tuple[int, int, tuple[int, int]]]:
    places = [(int(cell[0]), int(cell[1])) for cell in cells]
    return list(zip(first.tolist(), second.tolist(), places, strict=True))
