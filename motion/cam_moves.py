"""A cam from the moves it makes, dwelling in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from motion.cam_laws import CamLaw
from motion.cam_table import CamTable


@dataclass(frozen=True)
class Move:
    """A move to `target` while the master goes from `start` to `end`, after a law or a cam.

    A cam as profile is stretched to the move: its length to end - start, its first-to-last
    distance to the move's; with both equal already it is taken over exactly.
    """

    start: float
    end: float
    target: float
    profile: CamLaw | CamTable


def moves_to_cam(
    length: float, start_position: float, moves: Sequence[Move], periodic: bool = False
) -> CamTable:
    """A cam over 0..length that stands at `start_position`, makes `moves` in order and dwells in
    between; a periodic one may run its last move past the end, into the next period, and must
    come back to where it started.
    """
    _check_moves(length, start_position, moves, periodic)
    shift = moves[0].start if periodic and moves and moves[-1].end > length else 0.0
    parts, here, position = [], shift, start_position
    for move in moves:
        if move.start > here:
            parts.append(CamTable.constant(position, move.start - here))
        parts.append(_run(move, position))
        here, position = move.end, move.target
    if length + shift > here:
        parts.append(CamTable.constant(position, length + shift - here))
    cam = parts[0]
    for part in parts[1:]:
        cam = cam.then(part)
    cam = CamTable(np.append(cam.knots[:-1], length), cam.coefficients, periodic)
    return cam.phased(shift) if periodic else cam


def _run(move: Move, position: float) -> CamTable:
    length = move.end - move.start
    if isinstance(move.profile, CamLaw):
        return CamTable.from_law(move.profile, length, position, move.target)
    first, last = move.profile.sample([move.profile.start, move.profile.end])[:, 0]
    scale = (move.target - position) / (last - first) if last != first else 0.0
    scaled = move.profile.offset(-first).scaled(scale, length / move.profile.length)
    return scaled.offset(position).phased(-scaled.start)


def _check_moves(
    length: float, start_position: float, moves: Sequence[Move], periodic: bool
) -> None:
    if not (length > 0.0 and isfinite(length) and isfinite(start_position)):
        raise ValueError(
            f"cam: length = {length:g} from {start_position:g}: must be above 0, finite"
        )
    free_from = 0.0
    for i, move in enumerate(moves):
        name = f"cam: moves[{i}]"
        if not (isfinite(move.start) and isfinite(move.end) and isfinite(move.target)):
            raise ValueError(f"{name} = {move}: not finite; give finite numbers")
        if move.end <= move.start:
            raise ValueError(
                f"{name}.end = {move.end:g}: not above start {move.start:g}; extend it"
            )
        if move.start < free_from:
            raise ValueError(f"{name}.start = {move.start:g}: before {free_from:g}; start it later")
        free_from = move.end
    last_end = length + (moves[0].start if periodic and moves else 0.0)
    if free_from > last_end:
        raise ValueError(f"cam: last move's end = {free_from:g}: beyond {last_end:g}; shorten it")
    if periodic and moves and abs(moves[-1].target - start_position) > 1e-12:
        raise ValueError(
            f"cam: last target = {moves[-1].target:g}: a periodic cam must return to "
            f"{start_position:g}"
        )
