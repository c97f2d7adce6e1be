// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Poseidon2} from "./Poseidon2.sol";

/// @title What a node shows of its masks, and what a proposer claims of sums that are none. Twin: offchain/fedvol/protocol/mask.py
/// @dev Keys are elements of the BN254 scalar field. A node commits, in its annex, to the hash of each:
/// annex = keccak256(sha256(self key) ‖ keccak256(h_0 ‖ … ‖ h_{m-1})), h_j = sha256(key shared with the j-th seat of the
/// cluster), 0 at its own place. It opens its self key, and the pair keys of the missing only. Keys are hashed by SHA-256, because a
/// proof in zero knowledge must open these hashes; the hashes themselves are public, and keccak256 is cheaper here.
library MaskLib {
    error WrongKeyCount(uint256 given, uint256 expected);

    bytes32 internal constant MASK_TYPEHASH =
        keccak256("FedVolMask(uint256 chainId,address federation,uint24 round,uint64 seed)");

    uint256 private constant CLAIM_BITS = 16;
    uint256 private constant WORD_BITS = 10;

    /// @notice The field element that a round's pair keys are bound to.
    function context(address federation, uint24 round, uint64 seed) internal view returns (uint256) {
        return uint256(keccak256(abi.encode(MASK_TYPEHASH, block.chainid, federation, round, seed))) % Poseidon2.FIELD;
    }

    /// @notice The annex that opens to these hashes.
    function annexOf(bytes32 selfHash, bytes32[] memory pairHashes) internal pure returns (bytes32) {
        return keccak256(abi.encode(selfHash, keccak256(abi.encodePacked(pairHashes))));
    }

    /// @notice The annex that opens to these keys.
    /// @param keys    The self key; then, if nobody of the cluster is missing, the hash of the ring; else the ring itself: at the
    ///                place of each missing seat the key, elsewhere the key's hash.
    /// @param missing Bit j: the j-th seat of the cluster is missing. @param m Seats of a cluster.
    function annex(bytes32[] calldata keys, uint256 missing, uint256 m) internal view returns (bytes32) {
        uint256 expected = missing == 0 ? 2 : m + 1;
        if (keys.length != expected) revert WrongKeyCount(keys.length, expected);
        bytes32 made;
        assembly ("memory-safe") {
            // SHA-256 in place. Out of gas it must not leave the key itself standing.
            function digest(place) {
                if iszero(staticcall(gas(), 2, place, 32, place, 32)) { revert(0, 0) }
            }
            // The ring, or its hash, behind the free memory; nothing of it is kept.
            let ring := mload(64)
            let length := shl(5, sub(expected, 1))
            calldatacopy(ring, add(keys.offset, 32), length)
            if missing {
                for { let place := ring } missing { place := add(place, 32) } {
                    if and(missing, 1) { digest(place) }
                    missing := shr(1, missing)
                }
                mstore(ring, keccak256(ring, length))
            }
            mstore(32, mload(ring))
            mstore(0, calldataload(keys.offset))
            digest(0)
            made := keccak256(0, 64)
        }
        return made;
    }

    /// @notice Whether a cluster is claimed to have no sum.
    /// @param voids Up to 16 claims of 16 bits, the first lowest: (cluster + 1) · 2^10 + the first word that is no sum.
    function isClaimed(uint256 voids, uint256 cluster) internal pure returns (bool) {
        for (; voids != 0; voids >>= CLAIM_BITS) {
            if (uint16(voids) >> WORD_BITS == cluster + 1) return true;
        }
        return false;
    }

    /// @notice The lowest claim. @return cluster Never one that exists where the claim is empty.
    function claim(uint256 voids) internal pure returns (uint256 cluster, uint256 word) {
        unchecked {
            return ((uint16(voids) >> WORD_BITS) - 1, voids & ((1 << WORD_BITS) - 1));
        }
    }
}
