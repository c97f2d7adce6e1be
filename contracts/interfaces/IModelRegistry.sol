// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @notice Who wants to know at once of every new version: a pricing engine, which then need not ask for it.
interface IModelReader {
    /// @param pointer Contract whose code is one STOP byte followed by the model's bytes. @param asOf See `IModelRegistry.Version`.
    function modelPublished(uint32 version, address pointer, uint32 asOf) external;
}

/// @title Finished models: version → content id, weights in contract code, history.
/// @notice A model is d int32 fixed-point weights, 8 to a 32-byte word, big endian, weight 0 in the most significant lane,
/// zero-padded to whole words. Its content id is the SHA-256 of these bytes. Version 1 is the genesis model.
interface IModelRegistry {
    /// @notice What the weights hang on: for each of `markets`, `width` weights for each of `pillars` listed expiries (see the library
    /// `Listing`), then `tail` that hang on none. No pillars: a model that hangs on no expiry, whatever the rest says.
    struct Layout {
        uint8 markets;
        uint8 pillars;
        uint8 width;
        uint8 tail;
    }

    /// @param contentId SHA-256 of the model's bytes.
    /// @param pointer   Contract whose code is one STOP byte followed by the model's bytes (Solady SSTORE2).
    /// @param round     Round that made it; 0 for the genesis.
    /// @param publishedAt Seconds.
    /// @param asOf      Seconds: the time whose listed expiries the weights stand for. The opening of its round; of the genesis, when
    ///                  it was published.
    struct Version {
        bytes32 contentId;
        address pointer;
        uint24 round;
        uint40 publishedAt;
        uint32 asOf;
    }

    event ModelPublished(uint32 indexed version, uint24 indexed round, bytes32 contentId, address pointer);

    /// @dev The caller is not the federation that this registry serves.
    error NotFederation(address caller);
    /// @dev A model of `dimension` weights takes `expected` bytes, `given` came.
    error WrongModelLength(uint256 given, uint256 expected);
    /// @dev `dimension` is not in 1..2048.
    error BadDimension(uint256 dimension);
    /// @dev More than 16 pillars, or `dimension` is not markets * (pillars * width + tail).
    error BadLayout();
    error UnknownVersion(uint32 version);

    /// @notice Sets up a clone; once only.
    /// @param federation The only caller that may publish.
    /// @param dimension  d, number of weights, 1..2048.
    /// @param layout     What the weights hang on.
    /// @param genesis    Bytes of version 1, as of this block.
    /// @param reader     Told of every version but the genesis; zero for none.
    function initialize(
        address federation,
        uint16 dimension,
        Layout calldata layout,
        bytes calldata genesis,
        IModelReader reader
    ) external;

    /// @notice Writes the next version; federation only. A version is never rewritten.
    /// @param model Bytes of the model: ⌈d/8⌉ words.
    /// @param contentId SHA-256 of `model`, checked by the federation.
    /// @param round Round that made it. @param asOf When that was opened.
    function publish(bytes calldata model, bytes32 contentId, uint24 round, uint32 asOf)
        external
        returns (uint32 version);

    function federation() external view returns (address);

    function reader() external view returns (IModelReader);

    /// @notice d, number of weights.
    function dimension() external view returns (uint16);

    function layout() external view returns (uint8 markets, uint8 pillars, uint8 width, uint8 tail);

    /// @notice The newest version, in one storage read.
    function current() external view returns (uint32 version, address pointer, uint32 publishedAt, uint32 asOf);

    /// @notice The model that a round opened at `asOf` starts from: the newest version's bytes, where its expiries that are still
    /// listed then keep their weights, and a new one has those of the nearest, of two as near the earlier. Before the version's
    /// own time, and in a model without pillars: the version as it is.
    function carried(uint256 asOf) external view returns (bytes memory);

    /// @notice A version's record. Reverts `UnknownVersion` for 0 and for those to come.
    function versionAt(uint32 version) external view returns (Version memory);

    /// @notice A version's bytes, from contract code.
    function modelOf(uint32 version) external view returns (bytes memory);
}
