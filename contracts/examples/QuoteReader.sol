// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IPricingEngine} from "../interfaces/IPricingEngine.sol";

/// @title How a protocol reads a price: one call. A stale feed or model, or an option outside the domain, reverts.
contract QuoteReader {
    IPricingEngine public immutable engine;

    constructor(IPricingEngine engine_) {
        engine = engine_;
    }

    /// @param strike Dollars times 1e18. @param expiry Unix seconds.
    /// @return price Of a call on one BTC, dollars times 1e18, rounded down. @return delta Of the call, times 1e18.
    function callOnBtc(uint256 strike, uint256 expiry) external view returns (uint256 price, int256 delta) {
        IPricingEngine.Quote memory q = engine.quote("BTC", strike, expiry);
        return (q.call, q.delta);
    }
}
