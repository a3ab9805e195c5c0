"""Interatomic potentials by name: which LAMMPS commands they need and what they are good for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["InteratomicPotential", "interatomic_potential"]


@dataclass(frozen=True)
class InteratomicPotential:
    """How LAMMPS computes the energy of a crystal ("metal" units: eV, Å, ps).

    Parameters
    ----------
    name : str
        Short name, as in ``interatomic_potential``.
    species : tuple of str
        Chemical symbols in the order of LAMMPS's atom types 1, 2, ...
    commands : tuple of str
        ``pair_style`` and ``pair_coeff`` lines; files are those that come with LAMMPS, or paths.
    atom_style : str
        "atomic", or "full" if atoms carry the number of their layer.
    note : str
        What it is and what to know about it.
    doi : tuple of str
        Where it is published.
    interlayer_cutoff_angstrom : float
        Reach [Å] of a force that acts only between different layers; 0 if there is none. The layer of
        each atom is then its ``atoms.arrays["mol-id"]`` (1, 2, ...).

    Raises
    ------
    ValueError
        If there are no species or commands, or the atom style is neither "atomic" nor "full".
    """

    name: str
    species: tuple[str, ...]
    commands: tuple[str, ...]
    atom_style: str = "atomic"
    note: str = ""
    doi: tuple[str, ...] = ()
    interlayer_cutoff_angstrom: float = 0.0

    def __post_init__(self) -> None:
        for name in ("species", "commands"):
            value = getattr(self, name)
            if not isinstance(value, tuple) or not value or not all(isinstance(x, str) for x in value):
                raise ValueError(f"{name} must be a tuple of one or more texts, got {value!r}")
        if self.atom_style not in ("atomic", "full"):
            raise ValueError(f"atom_style must be 'atomic' or 'full', got {self.atom_style!r}")
        if self.interlayer_cutoff_angstrom > 0 and self.atom_style != "full":
            raise ValueError(f"atom_style must be 'full' for a force between layers, got {self.atom_style!r}")

    @property
    def layered(self) -> bool:
        """Whether atoms need the number of their layer, ``atoms.arrays["mol-id"]``."""
        return self.atom_style == "full"


def interatomic_potential(name: str) -> InteratomicPotential:
    """A potential by its name.

    ========================  ======  =====================================================
    name                      atoms   what it is
    ========================  ======  =====================================================
    "sw"                      Si      Stillinger–Weber: fast; TA phonons too stiff
    "tersoff"                 Si      Tersoff's T3 (1989), ``SiC_1989.tersoff``
    "snap"                    Si      machine-learned, quadratic SNAP (Zuo 2020): best, slow
    "bnc-tersoff"             B, N    Tersoff for flat hBN: acoustic branches good
    "bn-extep"                B, N    extended Tersoff, ``BN.extep``
    "bnc-tersoff+ilp"         B, N    with the interlayer potential of stacked hBN
    "bn-extep+ilp"            B, N    the same with ``BN.extep`` inside the layers
    ========================  ======  =====================================================

    Raises
    ------
    TypeError
        If ``name`` is not a text.
    ValueError
        If there is no such potential, listing all; for Tersoff's T2 silicon, with the reason.
    """
    if not isinstance(name, str):
        raise TypeError(f"potential must be a name or an InteratomicPotential, got {type(name).__name__}")
    wanted = name.strip().lower()
    if wanted in ("t2", "si.tersoff", "tersoff-t2"):
        raise ValueError(
            f"potential {name!r} (Si.tersoff, Tersoff's T2 of 1988) is far too soft: silicon atoms vibrate "
            "by 12 pm rms along each axis at 300 K, where experiment finds 7.6 pm; use 'sw', 'tersoff' (T3) "
            "or 'snap'"
        )
    known = {potential.name: potential for potential in (*_silicon(), *_boron_nitride())}
    if wanted not in known:
        raise ValueError(f"potential must be one of {', '.join(map(repr, known))}, got {name!r}")
    return known[wanted]


def _silicon() -> tuple[InteratomicPotential, ...]:
    snap = "Si_Zuo_JPCA2020.quadratic"
    return (
        InteratomicPotential(
            name="sw",
            species=("Si",),
            commands=("pair_style sw", "pair_coeff * * Si.sw Si"),
            note="Stillinger-Weber, Si.sw",
            doi=("10.1103/PhysRevB.31.5262",),
        ),
        InteratomicPotential(
            name="tersoff",
            species=("Si",),
            commands=("pair_style tersoff", "pair_coeff * * SiC_1989.tersoff Si"),
            note="Tersoff T3, SiC_1989.tersoff",
            doi=("10.1103/PhysRevB.39.5566",),
        ),
        InteratomicPotential(
            name="snap",
            species=("Si",),
            commands=("pair_style snap", f"pair_coeff * * {snap}.snapcoeff {snap}.snapparam Si"),
            note="quadratic SNAP, Si_Zuo_JPCA2020; some 600 times slower than Stillinger-Weber",
            doi=("10.1021/acs.jpca.9b08723",),
        ),
    )


def _boron_nitride() -> tuple[InteratomicPotential, ...]:
    inside = (
        ("bnc-tersoff", "tersoff", "BNC.tersoff", "Tersoff", "10.1103/PhysRevB.86.115410"),
        ("bn-extep", "extep", "BN.extep", "extended Tersoff (ExTeP)", "10.1103/PhysRevB.96.184108"),
    )
    flat = tuple(
        InteratomicPotential(
            name=name,
            species=("B", "N"),
            commands=(f"pair_style {style}", f"pair_coeff * * {file} B N"),
            note=f"{kind}, {file}; no force between layers",
            doi=(doi,),
        )
        for name, style, file, kind, doi in inside
    )
    reach = 16.0
    stacked = tuple(
        InteratomicPotential(
            name=f"{name}+ilp",
            species=("B", "N"),
            commands=(
                f"pair_style hybrid/overlay {style} ilp/graphene/hbn {reach} 1",
                f"pair_coeff * * {style} {file} B N",
                "pair_coeff * * ilp/graphene/hbn BNCH.ILP B N",
            ),
            atom_style="full",
            note=f"{kind}, {file}, and registry-dependent interlayer potential, BNCH.ILP",
            doi=(doi, "10.1021/acs.nanolett.8b02848"),
            interlayer_cutoff_angstrom=reach,
        )
        for name, style, file, kind, doi in inside
    )
    return flat + stacked
