"""What a cycle leaves for replay: the digest of its image, and its row of recorded bytes."""

import numpy as np
from numba import njit

from controller.runtime.atomics import address_of, load_word
from controller.runtime.loop_state import DIGEST_LANES
from controller.runtime.seal import WEIGHT, WORD, copy_words
from controller.shared.commands import COMMAND_DTYPE

COMMAND_WORDS = COMMAND_DTYPE.itemsize // 8
_SHIFT = np.uint64(29)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def record_inputs(inputs, loop):
    """Copy inputs and command, as the scan is about to see them, into this cycle's row."""
    if loop.trace_rows:
        row = _row(loop)
        copy_words(address_of(inputs), row, loop.input_words)
        command = row + np.uint64(loop.input_words) * WORD
        copy_words(address_of(loop.command), command, COMMAND_WORDS)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def record_outputs(outputs, loop):
    """Copy the outputs that the scan gave into this cycle's row."""
    if loop.trace_rows:
        target = _row(loop) + np.uint64(loop.input_words + COMMAND_WORDS) * WORD
        copy_words(address_of(outputs), target, loop.output_words)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _row(loop):
    row = loop.cycle % loop.trace_rows
    return loop.trace_address + np.uint64(row * loop.trace_row_words) * WORD


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def fold_image(image, loop):
    """Fold this cycle's inputs and outputs into the digest, if one is wanted."""
    if loop.digest_wanted:
        _fold(address_of(image.inputs), loop.input_words, loop.digest)
        _fold(address_of(image.outputs), loop.output_words, loop.digest)


@njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
def _fold(source, words, digest):
    """Multiply and shift word by word; four lanes, so that four multiplications overlap."""
    a, b, c, d = digest[0], digest[1], digest[2], digest[3]
    i = 0
    while i + DIGEST_LANES <= words:
        word = source + np.uint64(i) * WORD
        a = (a ^ load_word(word)) * WEIGHT
        b = (b ^ load_word(word + WORD)) * WEIGHT
        c = (c ^ load_word(word + WORD + WORD)) * WEIGHT
        d = (d ^ load_word(word + WORD + WORD + WORD)) * WEIGHT
        a ^= a >> _SHIFT
        b ^= b >> _SHIFT
        c ^= c >> _SHIFT
        d ^= d >> _SHIFT
        i += DIGEST_LANES
    while i < words:
        a = (a ^ load_word(source + np.uint64(i) * WORD)) * WEIGHT
        a ^= a >> _SHIFT
        i += 1
    digest[0], digest[1], digest[2], digest[3] = a, b, c, d
