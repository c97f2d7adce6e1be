// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {VectorLib} from "../../contracts/libraries/VectorLib.sol";

/// @title What `propose` asks of a model's last word, for every word there is.
contract Padding {
    function isPadded(bytes calldata model, uint256 dimension) external pure returns (bool) {
        return VectorLib.isPadded(model, dimension);
    }

    /// @notice Exactly the weights behind the dimension must be zero.
    function check_padding_is_the_rest_of_the_last_word(uint256 word, uint256 dimension) external view {
        if (dimension == 0 || dimension > VectorLib.LANES) return;
        bool zero = true;
        for (uint256 lane; lane < VectorLib.LANES; ++lane) {
            if (lane >= dimension && VectorLib.modelLane(word, lane) != 0) zero = false;
        }
        assert(this.isPadded(abi.encode(word), dimension) == zero);
    }
}
