// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.31;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IPricingEngine} from "../interfaces/IPricingEngine.sol";
import {Black76} from "../libraries/Black76.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {Ssvi} from "../libraries/Ssvi.sol";
import {Surface} from "../libraries/Surface.sol";

/// @title The pricing libraries in the open, in batches, with the gas that the function itself takes.
/// @dev For tests. `gas` figures are net of the call, of decoding its arguments and of encoding its answer.
contract PricingHarness {
    struct Option {
        uint256 forward;
        uint256 strike;
        uint256 sigma;
        uint256 seconds_;
    }

    struct SsviOption {
        uint256 forward;
        uint256 strike;
        uint256 theta;
        int256 rho;
        uint256 eta;
        uint256 seconds_;
    }

    struct Terms {
        uint256 call;
        uint256 put;
        uint256 delta;
        uint256 density;
    }

    struct FullQuote {
        uint256 sigma;
        uint256 call;
        uint256 put;
        uint256 delta;
        uint256 gamma;
        uint256 vega;
        int256 theta;
    }

    struct Slice {
        uint256 theta;
        int256 rho;
        uint256 eta;
    }

    event Cloned(address instance);

    function clone(address implementation, bytes calldata args) external {
        emit Cloned(Clones.cloneWithImmutableArgs(implementation, args));
    }

    function sqrt(uint256[] calldata values) external pure returns (uint256[] memory results) {
        results = new uint256[](values.length);
        for (uint256 i; i < values.length; ++i) {
            results[i] = FixedPoint.sqrt(values[i]);
        }
    }

    function lnRatio(uint256[] calldata numerators, uint256[] calldata denominators)
        external
        pure
        returns (int256[] memory results)
    {
        results = new int256[](numerators.length);
        for (uint256 i; i < numerators.length; ++i) {
            results[i] = FixedPoint.lnRatio(numerators[i], denominators[i]);
        }
    }

    function exp(int256[] calldata values) external pure returns (uint256[] memory results) {
        results = new uint256[](values.length);
        for (uint256 i; i < values.length; ++i) {
            results[i] = FixedPoint.exp(values[i]);
        }
    }

    function mills(uint256[] calldata values) external pure returns (uint256[] memory results) {
        results = new uint256[](values.length);
        for (uint256 i; i < values.length; ++i) {
            results[i] = FixedPoint.mills(values[i]);
        }
    }

    function price(Option[] calldata options) external pure returns (Terms[] memory results) {
        results = new Terms[](options.length);
        for (uint256 i; i < options.length; ++i) {
            Option calldata o = options[i];
            Terms memory t = results[i];
            (t.call, t.put, t.delta, t.density) = Black76.price(o.forward, o.strike, o.sigma, o.seconds_);
        }
    }

    function impliedVol(SsviOption[] calldata options) external pure returns (uint256[] memory results) {
        results = new uint256[](options.length);
        for (uint256 i; i < options.length; ++i) {
            results[i] = _impliedVol(options[i]);
        }
    }

    function quote(SsviOption[] calldata options) external pure returns (FullQuote[] memory results) {
        results = new FullQuote[](options.length);
        for (uint256 i; i < options.length; ++i) {
            _quote(options[i], results[i]);
        }
    }

    /// @notice A market's slices: row i of `models` (P + 2 int32 weights, big endian) at `maturities[i]` seconds.
    function slices(bytes[] calldata models, uint32[] calldata pillars, uint8 fractionBits, uint256[] calldata maturities)
        external
        pure
        returns (Slice[] memory results)
    {
        bytes memory packed;
        for (uint256 i; i < pillars.length; ++i) {
            packed = bytes.concat(packed, Surface.packPillar(pillars[i]));
        }
        results = new Slice[](models.length);
        for (uint256 i; i < models.length; ++i) {
            (results[i].theta, results[i].rho, results[i].eta) =
                Surface.sliceAt(models[i], packed, fractionBits, maturities[i]);
        }
    }

    function gasOfPrice(Option memory o) external view returns (uint256 used, Terms memory result) {
        used = gasleft();
        (result.call, result.put, result.delta, result.density) =
            Black76.price(o.forward, o.strike, o.sigma, o.seconds_);
        used -= gasleft();
    }

    function gasOfImpliedVol(SsviOption memory o) external view returns (uint256 used, uint256 result) {
        used = gasleft();
        result = _impliedVol(o);
        used -= gasleft();
    }

    function gasOfQuote(SsviOption memory o) external view returns (uint256 used, FullQuote memory result) {
        used = gasleft();
        _quote(o, result);
        used -= gasleft();
    }

    function _impliedVol(SsviOption memory o) private pure returns (uint256) {
        return Ssvi.impliedVolAt(o.theta, o.rho, o.eta, FixedPoint.lnRatio(o.strike, o.forward), o.seconds_);
    }

    function _quote(SsviOption memory o, FullQuote memory q) private pure {
        int256 k = FixedPoint.lnRatio(o.strike, o.forward);
        uint256 variance = Ssvi.totalVariance(o.theta, o.rho, o.eta, k);
        uint256 dev = FixedPoint.sqrt(variance << 96);
        uint256 sigma = Ssvi.impliedVol(variance, o.seconds_);
        q.sigma = sigma;
        uint256 density;
        (q.call, q.put, q.delta, density) = Black76.terms(o.forward, o.strike, k, dev);
        (q.gamma, q.vega, q.theta) = Black76.greeks(o.forward, density, dev, sigma, o.seconds_);
    }
}
