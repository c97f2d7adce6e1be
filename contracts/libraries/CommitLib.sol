// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title What a node commits to. Twin: offchain/fedvol/protocol/commitment.py
library CommitLib {
    bytes32 internal constant COMMIT_TYPEHASH = keccak256(
        "FedVolCommit(uint256 chainId,address federation,uint24 round,uint64 seed,address node,bytes32 contentId,bytes32 annex,bytes32 salt)"
    );

    /// @notice First 208 bits of the commit hash; binds chain, contract, round, seed and node, so that it opens nowhere else.
    function commitment(uint24 round, uint64 seed, address node, bytes32 contentId, bytes32 annex, bytes32 salt)
        internal
        view
        returns (uint208)
    {
        return commitmentIn(address(this), round, seed, node, contentId, annex, salt);
    }

    /// @notice The same, as another contract of the federation computes it.
    function commitmentIn(
        address federation,
        uint24 round,
        uint64 seed,
        address node,
        bytes32 contentId,
        bytes32 annex,
        bytes32 salt
    ) internal view returns (uint208) {
        bytes32 hash = keccak256(
            abi.encode(COMMIT_TYPEHASH, block.chainid, federation, round, seed, node, contentId, annex, salt)
        );
        return uint208(uint256(hash) >> 48);
    }

    /// @notice A round's seed: first 64 bits of keccak256(abi.encode(block hash, contract, round)).
    function roundSeed(bytes32 blockHash, uint24 round) internal view returns (uint64) {
        return uint64(uint256(keccak256(abi.encode(blockHash, address(this), round))) >> 192);
    }
}
