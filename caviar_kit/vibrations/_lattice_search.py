"""From bare positions to the two shortest translations that map them onto themselves.

A translation t belongs to a lattice if atoms displaced by it fall on atoms again. Differences
between neighbours therefore pile up at lattice vectors (once for every atom) and, less high, at
vectors between different sites of the basis. Only neighbours are compared, so neither strain nor
distortion adds up, and a second lattice or a boundary lowers the count without shifting it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, KDTree, QhullError

from caviar_kit.vibrations._peaks import local_maxima

__all__ = ["Neighbours", "find_vectors", "reduced", "refined_vectors", "spacing_of"]

_REACH = 5.0  # in √(area per atom): vectors of cells with up to about 8 sites, two lattices at once
_SHARE = 0.2  # of the best score: one of two grains, where their coincidence lattice holds both
_MOST = 48  # translations kept for the search of pairs


class Neighbours:
    """Which atom of the same species, if any, lies where a translation points."""

    def __init__(self, positions: np.ndarray, species: np.ndarray, tolerance: float) -> None:
        self.positions = positions
        self.species = species
        self.tolerance = tolerance
        self._members = [np.flatnonzero(species == kind) for kind in np.unique(species)]
        self._trees = [KDTree(positions[members]) for members in self._members]

    def at(self, translation: np.ndarray) -> np.ndarray:
        """Index of the atom at each position + ``translation``, int (atoms,); -1 where there is none."""
        found = np.full(len(self.positions), -1)
        for members, tree in zip(self._members, self._trees, strict=True):
            distance, which = tree.query(
                self.positions[members] + translation, distance_upper_bound=self.tolerance
            )
            found[members] = np.where(distance <= self.tolerance, members[which % len(members)], -1)
        return found

    def differences(self, reach: float) -> np.ndarray:
        """Vectors between atoms of one species no farther apart than ``reach`` [Å], both signs."""
        pairs = []
        for members, tree in zip(self._members, self._trees, strict=True):
            near = tree.query_pairs(reach, output_type="ndarray")
            pairs.append(members[near])
        both = np.concatenate(pairs)
        vectors = self.positions[both[:, 1]] - self.positions[both[:, 0]]
        return np.concatenate([vectors, -vectors])


def spacing_of(positions: np.ndarray) -> float:
    """√(area per atom) [Å] of the convex hull; 0 where all atoms lie on one line."""
    try:
        return float(np.sqrt(ConvexHull(positions).volume / len(positions)))
    except QhullError:
        return 0.0


def find_vectors(neighbours: Neighbours, spacing: float) -> list[np.ndarray]:
    """Reduced vectors, rows [Å], of the lattice that holds most atoms and of finer ones that contain it.

    The finest first; none if there is no lattice.
    """
    translations = _translations(neighbours, _REACH * spacing)
    if len(translations) < 2:
        return []
    rows = np.array([_in_a_row(neighbours, t) for t in translations], np.float32)
    possible = _room(neighbours.positions, translations, neighbours.tolerance).astype(np.float32)
    first, second = np.triu_indices(len(translations), 1)
    lengths = np.linalg.norm(translations, axis=1)
    area = np.abs(_cross(translations[first], translations[second]))
    count = (rows @ rows.T)[first, second]
    room = (possible @ possible.T)[first, second]
    usable = (area > 0.25 * lengths[first] * lengths[second]) & (count >= 3)
    if not usable.any():
        return []
    # a few pairs at the rim of a small field must not beat the crowd
    crowd = np.sqrt(np.minimum(count / count[usable].max(), 0.5))
    score = np.where(usable, crowd * count / np.maximum(room, 1), 0)
    pairs = translations[np.stack([first, second], axis=1)]
    best = int(score.argmax())
    good = np.flatnonzero(score >= _SHARE * score[best])
    finer = good[_contain(pairs[good], pairs[best], 2 * neighbours.tolerance)]
    found = []
    while len(finer):
        same = area[finer] <= 1.1 * area[finer].min()
        found.append(reduced(pairs[finer[same][score[finer[same]].argmax()]])[0])
        finer = finer[~same & (area[finer] <= 1.1 * area[best])]
    return found


def _in_a_row(neighbours: Neighbours, translation: np.ndarray) -> np.ndarray:
    """Atoms that ``translation`` takes to a second and one of the two to a third; bool (atoms,).

    A vector between two sites of a basis joins only two atoms.
    """
    after, before = neighbours.at(translation), neighbours.at(-translation)
    return (after >= 0) & ((before >= 0) | (after[after] >= 0))


def _contain(pairs: np.ndarray, coarse: np.ndarray, tolerance: float) -> np.ndarray:
    """Whether the lattice of each pair of vectors contains both ``coarse`` vectors; bool (pairs,).

    The vectors that two grains share (their coincidence lattice) are found in most atoms, but it is
    one of the grains that is wanted.
    """
    times = np.rint(coarse @ np.linalg.inv(pairs))
    return (np.linalg.norm(times @ pairs - coarse, axis=-1) <= tolerance).all(axis=1)


def refined_vectors(neighbours: Neighbours, vectors: np.ndarray) -> np.ndarray:
    """Move given ``vectors`` (rows, Å) to the mean of the differences close to each of them."""
    differences = neighbours.differences(1.3 * float(np.linalg.norm(vectors, axis=1).max()))
    result = vectors.copy()
    for row in result:
        for radius in (2 * neighbours.tolerance, neighbours.tolerance, neighbours.tolerance):
            near = differences[np.linalg.norm(differences - row, axis=1) <= radius]
            row[:] = near.mean(axis=0) if len(near) else row
    return result


def reduced(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shortest vectors of the same lattice (Lagrange–Gauss), 60° to 120° apart, and the integers M.

    ``reduced = M @ vectors``. Of equally short vectors (to 3 %) a1 is the one that points most nearly
    along +x; a2 lies on the side to which +y lies from +x, as obtuse as it can be (120° for a
    hexagonal lattice).
    """
    matrix = np.eye(2, dtype=int)
    while True:
        short, long = matrix @ vectors
        if short @ short > (long @ long) * (1 + 1e-12):
            matrix = matrix[::-1]
            continue
        share = short @ long / (short @ short)
        if abs(share) <= 0.5 + 1e-9:  # a centred lattice has exactly a half, and rounding both signs of it
            break
        times = int(np.round(share))
        matrix = matrix - [[0, 0], [times * matrix[0, 0], times * matrix[0, 1]]]
    return _standard(matrix, vectors)


def _standard(matrix: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = [matrix[0], matrix[1], matrix[0] + matrix[1], matrix[0] - matrix[1]]
    rows = [sign * row for row in rows for sign in (1, -1)]
    ends = np.array([row @ vectors for row in rows])
    lengths = np.linalg.norm(ends, axis=1)
    slack = 1.03  # equal but for noise and a little strain
    first = max(np.flatnonzero(lengths <= slack * lengths.min()), key=lambda k: ends[k, 1] / lengths[k])
    left = ends[first, 1] * ends[:, 0] - ends[first, 0] * ends[:, 1]  # x1 y2 − y1 x2
    allowed = np.flatnonzero(left > 1e-6 * lengths[first] * lengths)
    shortest = allowed[lengths[allowed] <= slack * lengths[allowed].min()]
    second = min(shortest, key=lambda k: ends[k] @ ends[first] / lengths[k])
    chosen = np.array([rows[first], rows[second]])
    return chosen @ vectors, chosen


def _translations(neighbours: Neighbours, reach: float) -> np.ndarray:
    """Where the differences pile up, one of each ±, the most frequent first; (translations, 2) Å."""
    differences = neighbours.differences(reach)
    width = neighbours.tolerance / 2
    edge = np.arange(-reach - 4 * width, reach + 5 * width, width)
    counts, _ = np.histogramdd(differences, bins=(edge, edge))
    density = ndimage.gaussian_filter(counts, 1.0)
    highest = float(density.max(initial=1e-9))
    peaks = local_maxima(density, np.ones((5, 5), bool), threshold=0.15 * highest, border=2, spacing=2)
    centres = edge[peaks] + width / 2
    half = (centres[:, 0] > width) | ((np.abs(centres[:, 0]) <= width) & (centres[:, 1] > 0))
    centres = centres[half][:_MOST]
    tree = KDTree(differences) if len(differences) else None
    for centre in centres:
        near = tree.query_ball_point(centre, neighbours.tolerance) if tree is not None else []
        centre[:] = differences[near].mean(axis=0) if near else centre
    return centres


def _room(positions: np.ndarray, translations: np.ndarray, tolerance: float) -> np.ndarray:
    """Whether position + translation still lies within the field, bool (translations, atoms)."""
    planes = ConvexHull(positions).equations  # normal · r + offset ≤ 0 inside
    height = positions @ planes[:, :2].T + planes[:, 2]
    moved = height[None] + (translations @ planes[:, :2].T)[:, None]
    return (moved <= tolerance).all(axis=2)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
