//! What may be lost for speed.

/// How sums of products may be computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Numerics {
    /// By Winograd's algorithm too, which loses a few bits of a convolution.
    #[default]
    Fast,
    /// As the sums of products that they are.
    Strict,
    /// By Winograd's algorithm wherever it is possible at all: tests hold every strategy to its laws.
    Always,
}
