//! Strict, bounded XML and its canonical form.
