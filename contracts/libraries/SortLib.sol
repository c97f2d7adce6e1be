// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Sorts many short numbers at once: every lane of a list of words, each by itself, whole words at a time.
/// @dev Batcher's odd-even merge sort ("Sorting networks and their applications", 1968): which words are compared depends on their
/// number alone, so that all lanes share each comparison, and no input costs more than another. The comparison is that of
/// Lamport, "Multiple byte processing with full-word instructions", 1975: a spare top bit in each lane keeps borrows from leaving it.
/// It is written out each time it occurs, as a call would cost two thirds of it:
///     x := sub(or(a, guard), b)  t := and(x, guard)  x := and(x, sub(t, shr(top, t)))    max(a - b, 0) in each lane
///     a := sub(a, x)  b := add(b, x)                                                     a is the lower, b the higher
library SortLib {
    /// @notice A one in each lane of `bits` bits, in the lower 248 bits of a word.
    /// @dev By a loop, for the compiler cannot run it: constants of 32 bytes it would make anew, by arithmetic, wherever they occur.
    function ones(uint256 bits) internal pure returns (uint256 word) {
        word = 1;
        for (uint256 shift = bits; shift < 248; shift <<= 1) word |= word << shift;
    }

    /// @notice Sorts in place, each lane rising.
    /// @param words Lanes of `bits` bits, 31 or 62, the top bit 0.
    function sort(uint256[] memory words, uint256 bits) internal pure {
        uint256 top = bits - 1;
        uint256 guard = ones(bits) << top;
        assembly ("memory-safe") {
            // The network takes four words at a time: a last group is filled up, elsewhere, with lanes that stay last.
            let list := add(words, 32)
            let end := add(list, shl(5, mload(words)))
            if and(mload(words), 3) {
                list := mload(64)
                mcopy(list, add(words, 32), shl(5, mload(words)))
                end := add(list, shl(5, mload(words)))
                for {} and(sub(end, list), 96) { end := add(end, 32) } { mstore(end, sub(guard, shr(top, guard))) }
            }

            let a let b let x let t
            for { let i := list } lt(i, end) { i := add(i, 128) } {
                a := mload(i)
                b := mload(add(i, 32))
                let c := mload(add(i, 64))
                let d := mload(add(i, 96))
                x := sub(or(a, guard), b) t := and(x, guard) x := and(x, sub(t, shr(top, t))) a := sub(a, x) b := add(b, x)
                x := sub(or(c, guard), d) t := and(x, guard) x := and(x, sub(t, shr(top, t))) c := sub(c, x) d := add(d, x)
                x := sub(or(a, guard), c) t := and(x, guard) x := and(x, sub(t, shr(top, t))) a := sub(a, x) c := add(c, x)
                x := sub(or(b, guard), d) t := and(x, guard) x := and(x, sub(t, shr(top, t))) b := sub(b, x) d := add(d, x)
                x := sub(or(b, guard), c) t := and(x, guard) x := and(x, sub(t, shr(top, t))) b := sub(b, x) c := add(c, x)
                mstore(i, a)
                mstore(add(i, 32), b)
                mstore(add(i, 64), c)
                mstore(add(i, 96), d)
            }

            // Runs of `half` bytes are sorted; two neighbours become one.
            for { let half := 128 } lt(half, sub(end, list)) { half := shl(1, half) } {
                // Distances of four words and more.
                for { let far := half } gt(far, 64) { far := shr(1, far) } {
                    for { let run := add(list, mul(far, lt(far, half))) } lt(add(run, far), end) { run := add(run, shl(1, far)) } {
                        if iszero(and(sub(add(run, far), list), sub(shl(1, half), 1))) { continue } // two runs that do not meet yet
                        let last := add(run, far)
                        if gt(add(last, far), end) { last := sub(end, far) }
                        for { let i := run } lt(i, last) { i := add(i, 64) } {
                            a := mload(i)
                            b := mload(add(i, far))
                            x := sub(or(a, guard), b) t := and(x, guard) x := and(x, sub(t, shr(top, t))) a := sub(a, x) b := add(b, x)
                            mstore(i, a)
                            mstore(add(i, far), b)
                            a := mload(add(i, 32))
                            b := mload(add(add(i, 32), far))
                            x := sub(or(a, guard), b) t := and(x, guard) x := and(x, sub(t, shr(top, t))) a := sub(a, x) b := add(b, x)
                            mstore(add(i, 32), a)
                            mstore(add(add(i, 32), far), b)
                        }
                    }
                }
                // Distances of two and of one, in one pass.
                for { let run := list } lt(run, end) { run := add(run, shl(1, half)) } {
                    let last := sub(add(run, shl(1, half)), 64)
                    if gt(last, sub(end, 64)) { last := sub(end, 64) }
                    let i := add(run, 64)
                    for {} lt(i, last) { i := add(i, 128) } {
                        a := mload(i)
                        let c := mload(add(i, 64))
                        x := sub(or(a, guard), c) t := and(x, guard) x := and(x, sub(t, shr(top, t))) a := sub(a, x) c := add(c, x)
                        b := mload(add(i, 32))
                        let d := mload(add(i, 96))
                        x := sub(or(b, guard), d) t := and(x, guard) x := and(x, sub(t, shr(top, t))) b := sub(b, x) d := add(d, x)
                        mstore(add(i, 96), d)
                        x := sub(or(b, guard), c) t := and(x, guard) x := and(x, sub(t, shr(top, t))) b := sub(b, x) c := add(c, x)
                        mstore(add(i, 32), b)
                        mstore(add(i, 64), c)
                        b := mload(sub(i, 32))
                        x := sub(or(b, guard), a) t := and(x, guard) x := and(x, sub(t, shr(top, t))) b := sub(b, x) a := add(a, x)
                        mstore(sub(i, 32), b)
                        mstore(i, a)
                    }
                    a := mload(sub(i, 32))
                    b := mload(i)
                    x := sub(or(a, guard), b) t := and(x, guard) x := and(x, sub(t, shr(top, t))) a := sub(a, x) b := add(b, x)
                    mstore(sub(i, 32), a)
                    mstore(i, b)
                }
            }

            if and(mload(words), 3) { mcopy(add(words, 32), list, shl(5, mload(words))) }
        }
    }
}
