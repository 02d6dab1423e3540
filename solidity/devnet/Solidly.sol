// SPDX-License-Identifier: MIT
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Moves} from "./Moves.sol";
import {IERC20} from "../src/interfaces/IERC20.sol";

// A pair, factory and router of Solidly's family for development chains, written anew from the curves and the
// published interface: x y = k, or x³y + x y³ = k for what should be worth the same. Rounding, checks and the places of
// what is read from storage are those of Velodrome's first version, whose own code is not free for this use; tests hold
// the pair to what real ones answered. What a development chain has no use for is not here: withdrawals, price
// observations, the claiming of fees.

interface IFlashBorrower {
    function hook(address sender, uint256 amount0, uint256 amount1, bytes calldata data) external;
}

interface IDecimals {
    function decimals() external view returns (uint8);
}

/// @title Creates pairs and sets their fees; keeps the fees that they send it.
contract DevSolidlyFactory {
    bool public isPaused; // lowest byte of slot 0
    address public owner;
    address[] public allPairs; // 1
    uint256 public stableFee; // 2, in basis points
    uint256 public volatileFee; // 3
    mapping(address => mapping(address => mapping(bool => address))) public getPair;
    mapping(address => bool) public isPair;

    address private token0;
    address private token1;
    bool private stable;

    event PairCreated(address indexed token0, address indexed token1, bool stable, address pair, uint256 count);

    error NotOwner(address caller);
    error NoSuchPair(address tokenA, address tokenB);
    error PairExists(address pair);

    constructor(address owner_, uint256 stableFee_, uint256 volatileFee_) {
        owner = owner_;
        stableFee = stableFee_;
        volatileFee = volatileFee_;
    }

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        _;
    }

    function setPause(bool paused) external onlyOwner {
        isPaused = paused;
    }

    function setFee(bool stable_, uint256 fee) external onlyOwner {
        if (stable_) stableFee = fee;
        else volatileFee = fee;
    }

    function getFee(bool stable_) external view returns (uint256) {
        return stable_ ? stableFee : volatileFee;
    }

    /// @notice What the pair that is being created is for: its code is the same for all, and so its address follows
    /// from tokens and curve.
    function getInitializable() external view returns (address, address, bool) {
        return (token0, token1, stable);
    }

    function createPair(address tokenA, address tokenB, bool stable_) external returns (address pair) {
        (token0, token1) = tokenA < tokenB ? (tokenA, tokenB) : (tokenB, tokenA);
        stable = stable_;
        if (token0 == token1 || token0 == address(0)) revert NoSuchPair(tokenA, tokenB);
        pair = getPair[token0][token1][stable_];
        if (pair != address(0)) revert PairExists(pair);
        pair = address(new DevSolidlyPair{salt: keccak256(abi.encodePacked(token0, token1, stable_))}());
        getPair[token0][token1][stable_] = pair;
        getPair[token1][token0][stable_] = pair;
        isPair[pair] = true;
        allPairs.push(pair);
        emit PairCreated(token0, token1, stable_, pair, allPairs.length);
    }
}

/// @title Two tokens on one of the two curves. The fee is a share of the input and leaves with the swap.
contract DevSolidlyPair is ERC20 {
    using Moves for address;

    uint256 private constant ONE = 1e18;
    uint256 private constant BPS = 10_000;
    uint256 private constant ROUNDS = 255;
    uint256 private constant LOCKED_LIQUIDITY = 1000;

    address public immutable token0;
    address public immutable token1;
    bool public immutable stable;
    DevSolidlyFactory public immutable factory;
    uint256 private immutable UNIT_0;
    uint256 private immutable UNIT_1;

    uint256[2] private unused; // slots 5 and 6, after the five of ERC20
    bool private entered; // 7
    uint256 public reserve0; // 8
    uint256 public reserve1; // 9

    event Mint(address indexed sender, uint256 amount0, uint256 amount1);
    event Swap(
        address indexed sender,
        uint256 amount0In,
        uint256 amount1In,
        uint256 amount0Out,
        uint256 amount1Out,
        address indexed to
    );
    event Sync(uint256 reserve0, uint256 reserve1);

    error Entered();
    error Paused();
    error NothingAsked();
    error NothingPaid();
    error NothingMinted();
    error TooMuchAsked();
    error BadRecipient(address to);
    error InvariantFell();
    error NoSuchToken(address token);

    modifier once() {
        if (entered) revert Entered();
        entered = true;
        _;
        entered = false;
    }

    constructor() ERC20("Devnet Solidly pair", "devSOLIDLY") {
        factory = DevSolidlyFactory(msg.sender);
        (token0, token1, stable) = factory.getInitializable();
        UNIT_0 = 10 ** IDecimals(token0).decimals();
        UNIT_1 = 10 ** IDecimals(token1).decimals();
    }

    function getReserves() external view returns (uint256, uint256) {
        return (reserve0, reserve1);
    }

    /// @notice The pair's quote. A stable pair may refuse to pay its last unit, as its search and its check round
    /// differently.
    function getAmountOut(uint256 amountIn, address tokenIn) external view returns (uint256) {
        if (tokenIn != token0 && tokenIn != token1) revert NoSuchToken(tokenIn);
        uint256 taken = amountIn - feeOn(amountIn);
        (uint256 reserveIn, uint256 reserveOut, uint256 unitIn, uint256 unitOut) =
            tokenIn == token0 ? (reserve0, reserve1, UNIT_0, UNIT_1) : (reserve1, reserve0, UNIT_1, UNIT_0);
        if (!stable) return taken * reserveOut / (reserveIn + taken);
        uint256 target = invariant(reserve0, reserve1);
        reserveIn = reserveIn * ONE / unitIn;
        reserveOut = reserveOut * ONE / unitOut;
        return (reserveOut - reserveAfter(reserveIn + taken * ONE / unitIn, target, reserveOut)) * unitOut / ONE;
    }

    /// @notice Shares for what was sent to the pair since its reserves were last written.
    function mint(address to) external once returns (uint256 liquidity) {
        uint256 amount0 = held(token0) - reserve0;
        uint256 amount1 = held(token1) - reserve1;
        uint256 supply = totalSupply();
        if (supply == 0) {
            liquidity = Math.sqrt(amount0 * amount1) - LOCKED_LIQUIDITY;
            _mint(address(0xdead), LOCKED_LIQUIDITY);
        } else {
            liquidity = Math.min(amount0 * supply / reserve0, amount1 * supply / reserve1);
        }
        if (liquidity == 0) revert NothingMinted();
        _mint(to, liquidity);
        write();
        emit Mint(msg.sender, amount0, amount1);
    }

    /// @notice Pays out, calls the recipient back if there is data, and lets pass what leaves the invariant as high.
    function swap(uint256 amount0Out, uint256 amount1Out, address to, bytes calldata data) external once {
        if (factory.isPaused()) revert Paused();
        if (amount0Out == 0 && amount1Out == 0) revert NothingAsked();
        if (amount0Out >= reserve0 || amount1Out >= reserve1) revert TooMuchAsked();
        if (to == token0 || to == token1) revert BadRecipient(to);
        if (amount0Out > 0) token0.send(to, amount0Out);
        if (amount1Out > 0) token1.send(to, amount1Out);
        if (data.length > 0) IFlashBorrower(to).hook(msg.sender, amount0Out, amount1Out, data);
        uint256 amount0In = paid(token0, reserve0 - amount0Out);
        uint256 amount1In = paid(token1, reserve1 - amount1Out);
        if (amount0In == 0 && amount1In == 0) revert NothingPaid();
        takeFee(token0, amount0In);
        takeFee(token1, amount1In);
        if (invariant(held(token0), held(token1)) < invariant(reserve0, reserve1)) revert InvariantFell();
        write();
        emit Swap(msg.sender, amount0In, amount1In, amount0Out, amount1Out, to);
    }

    function feeOn(uint256 amount) private view returns (uint256) {
        return amount * factory.getFee(stable) / BPS;
    }

    function takeFee(address token, uint256 amount) private {
        uint256 fee = feeOn(amount);
        if (fee > 0) token.send(address(factory), fee);
    }

    function held(address token) private view returns (uint256) {
        return IERC20(token).balanceOf(address(this));
    }

    function paid(address token, uint256 left) private view returns (uint256) {
        uint256 balance = held(token);
        return balance > left ? balance - left : 0;
    }

    function write() private {
        reserve0 = held(token0);
        reserve1 = held(token1);
        emit Sync(reserve0, reserve1);
    }

    /// @dev x y, or x y (x² + y²) with both in 18 decimals.
    function invariant(uint256 x, uint256 y) private view returns (uint256) {
        if (!stable) return x * y;
        x = x * ONE / UNIT_0;
        y = y * ONE / UNIT_1;
        return x * y / ONE * (x * x / ONE + y * y / ONE) / ONE;
    }

    /// @dev The other reserve at which x³y + x y³ is `target`, by Newton's steps from `y`; all in 18 decimals.
    function reserveAfter(uint256 x, uint256 target, uint256 y) private pure returns (uint256) {
        uint256 cube = x * x / ONE * x / ONE;
        for (uint256 round = 0; round < ROUNDS; ++round) {
            uint256 last = y;
            uint256 square = y * y / ONE;
            uint256 here = x * (square * y / ONE) / ONE + cube * y / ONE;
            uint256 slope = 3 * x * square / ONE + cube;
            if (here < target) y += (target - here) * ONE / slope;
            else y -= (here - target) * ONE / slope;
            if ((y > last ? y - last : last - y) <= 1) break;
        }
        return y;
    }
}

/// @title Sells an exact amount to one pair, for accounts that have no contract of their own.
contract DevSolidlyRouter {
    using Moves for address;

    DevSolidlyFactory public immutable factory;

    error Expired(uint256 deadline);
    error TooLittle(uint256 amount);

    constructor(DevSolidlyFactory factory_) {
        factory = factory_;
    }

    function swapExactTokensForTokensSimple(
        uint256 amountIn,
        uint256 amountOutMin,
        address tokenFrom,
        address tokenTo,
        bool stable,
        address to,
        uint256 deadline
    ) external returns (uint256 amountOut) {
        if (block.timestamp > deadline) revert Expired(deadline);
        DevSolidlyPair pair = DevSolidlyPair(factory.getPair(tokenFrom, tokenTo, stable));
        amountOut = pair.getAmountOut(amountIn, tokenFrom);
        if (amountOut < amountOutMin) revert TooLittle(amountOut);
        tokenFrom.pull(msg.sender, address(pair), amountIn);
        if (tokenFrom < tokenTo) pair.swap(0, amountOut, to, "");
        else pair.swap(amountOut, 0, to, "");
    }
}
