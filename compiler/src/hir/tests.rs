//! Programs of the manual, small ones, and wrong ones.
