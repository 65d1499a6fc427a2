//! What every floor speaks of: typed indices, places in source text, tensors, diagnostics.

pub mod diagnostic;
pub mod ids;
pub mod numerics;
pub mod span;
pub mod tensor;

pub use diagnostic::{Code, Diagnostic, Failed, Label, Severity};
pub use ids::{Buffer, Value, Var};
pub use numerics::Numerics;
pub use span::{Origin, Role, SourceId, SourceMap, Span, Spanned};
pub use tensor::{Element, Tensor, TensorType};
