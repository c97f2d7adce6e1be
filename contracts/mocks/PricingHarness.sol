// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.31;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Black76} from "../libraries/Black76.sol";
import {FixedPoint} from "../libraries/FixedPoint.sol";
import {Listing} from "../libraries/Listing.sol";
import {Mixture} from "../libraries/Mixture.sol";
import {Slice, Ssvi} from "../libraries/Ssvi.sol";
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

    struct Terms {
        uint256 call;
        uint256 put;
        uint256 delta;
        uint256 density;
    }

    struct Greeks {
        uint256 gamma;
        uint256 vega;
        int256 theta;
    }

    struct Model {
        bytes weights;
        uint256 at;
        uint256[] tenors;
        uint256 fractionBits;
    }

    struct Shape {
        uint256 markets;
        uint256 pillars;
        uint256 width;
        uint256 tail;
    }

    /// @dev An option on a chart: `g` of the clock, seconds from the chart's time to expiry and those that have passed.
    struct Point {
        bytes pillars;
        bytes tenors;
        uint256 g;
        uint256 tenor;
        uint256 elapsed;
        int256 logStrike;
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

    function greeks(Option[] calldata options) external pure returns (Greeks[] memory results) {
        results = new Greeks[](options.length);
        for (uint256 i; i < options.length; ++i) {
            Option calldata o = options[i];
            Greeks memory g = results[i];
            (,,, uint256 density) = Black76.price(o.forward, o.strike, o.sigma, o.seconds_);
            uint256 dev = Black76.deviation(o.sigma, o.seconds_);
            (g.gamma, g.vega, g.theta) = Black76.greeks(o.forward, density, dev, o.sigma, o.seconds_);
        }
    }

    function expiries(uint256[] calldata times, uint256 count) external pure returns (uint256[][] memory results) {
        results = new uint256[][](times.length);
        for (uint256 i; i < times.length; ++i) {
            results[i] = Listing.expiries(times[i], count);
        }
    }

    function carry(bytes calldata model, Shape calldata s, uint256 before, uint256 later)
        external
        pure
        returns (bytes memory)
    {
        return Listing.carry(model, s.markets, s.pillars, s.width, s.tail, before, later);
    }

    function charts(Model[] calldata models) external pure returns (bytes[] memory results) {
        results = new bytes[](models.length);
        for (uint256 i; i < models.length; ++i) {
            Model memory m = models[i];
            results[i] = Surface.chart(m.weights, m.at, m.tenors, m.fractionBits);
        }
    }

    /// @notice Both slices of a chart at each moment: slice 0 and 1 of the first moment, then of the next.
    function slices(bytes calldata pillars, bytes calldata tenors, uint256[] calldata moments)
        external
        pure
        returns (Slice[] memory results)
    {
        results = new Slice[](2 * moments.length);
        for (uint256 i; i < moments.length; ++i) {
            (results[2 * i], results[2 * i + 1]) = Surface.slicesAt(pillars, tenors, moments[i]);
        }
    }

    function powers(int256[] calldata betas, uint256[] calldata nows, uint256[] calldata thens, uint256 fractionBits)
        external
        pure
        returns (int256[] memory results)
    {
        results = new int256[](betas.length);
        for (uint256 i; i < betas.length; ++i) {
            results[i] = Surface.powerOf(betas[i], nows[i], thens[i], fractionBits);
        }
    }

    function clocks(int256[] calldata sums, uint256 fractionBits) external pure returns (uint256[] memory results) {
        results = new uint256[](sums.length);
        for (uint256 i; i < sums.length; ++i) {
            results[i] = Surface.clockOf(sums[i], fractionBits);
        }
    }

    function moments(uint256[] calldata tenors, uint256[] calldata gs) external pure returns (uint256[] memory results) {
        results = new uint256[](tenors.length);
        for (uint256 i; i < tenors.length; ++i) {
            results[i] = Surface.momentOf(tenors[i], gs[i]);
        }
    }

    function totalVariance(Slice[] calldata at, int256[] calldata logStrikes)
        external
        pure
        returns (uint256[] memory results)
    {
        results = new uint256[](at.length);
        for (uint256 i; i < at.length; ++i) {
            results[i] = Ssvi.totalVariance(at[i], logStrikes[i]);
        }
    }

    function deviation(uint256[] calldata variances1, uint256[] calldata variances2, int256[] calldata logStrikes)
        external
        pure
        returns (uint256[] memory results)
    {
        results = new uint256[](logStrikes.length);
        for (uint256 i; i < logStrikes.length; ++i) {
            results[i] = Mixture.deviation(variances1[i], variances2[i], logStrikes[i]);
        }
    }

    function ivs(Point[] calldata points) external pure returns (uint256[] memory results) {
        results = new uint256[](points.length);
        for (uint256 i; i < points.length; ++i) {
            results[i] = _iv(points[i]);
        }
    }

    function gasOfPrice(Option memory o) external view returns (uint256 used, Terms memory result) {
        used = gasleft();
        (result.call, result.put, result.delta, result.density) =
            Black76.price(o.forward, o.strike, o.sigma, o.seconds_);
        used -= gasleft();
    }

    function gasOfExpiries(uint256 asOf, uint256 count) external view returns (uint256 used, uint256[] memory result) {
        used = gasleft();
        result = Listing.expiries(asOf, count);
        used -= gasleft();
    }

    function gasOfCarry(bytes memory model, Shape memory s, uint256 before, uint256 later)
        external
        view
        returns (uint256 used, bytes memory result)
    {
        used = gasleft();
        result = Listing.carry(model, s.markets, s.pillars, s.width, s.tail, before, later);
        used -= gasleft();
    }

    function gasOfChart(Model memory m) external view returns (uint256 used, bytes memory result) {
        used = gasleft();
        result = Surface.chart(m.weights, m.at, m.tenors, m.fractionBits);
        used -= gasleft();
    }

    function gasOfSlices(bytes memory pillars, bytes memory tenors, uint256 moment)
        external
        view
        returns (uint256 used, Slice memory first, Slice memory second)
    {
        used = gasleft();
        (first, second) = Surface.slicesAt(pillars, tenors, moment);
        used -= gasleft();
    }

    function gasOfDeviation(uint256 variance1, uint256 variance2, int256 logStrike)
        external
        view
        returns (uint256 used, uint256 result)
    {
        used = gasleft();
        result = Mixture.deviation(variance1, variance2, logStrike);
        used -= gasleft();
    }

    function gasOfIv(Point memory p) external view returns (uint256 used, uint256 result) {
        used = gasleft();
        result = _iv(p);
        used -= gasleft();
    }

    /// @dev Volatility in Q96: the mixture's variance at the moment of the tenor, of which time has taken its share.
    function _iv(Point memory p) private pure returns (uint256) {
        uint256 moment = Surface.momentOf(p.tenor, p.g);
        uint256 left = p.tenor - p.elapsed;
        (Slice memory first, Slice memory second) = Surface.slicesAt(p.pillars, p.tenors, moment);
        uint256 variance1 = Ssvi.totalVariance(first, p.logStrike);
        uint256 variance2 = Ssvi.totalVariance(second, p.logStrike);
        uint256 s = Mixture.deviation((variance1 * left) / p.tenor, (variance2 * left) / p.tenor, p.logStrike);
        return FixedPoint.sqrt((s * s * Black76.YEAR) / left);
    }
}
