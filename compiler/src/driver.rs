//! The pipeline on one page.
