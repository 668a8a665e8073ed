//! The two message flows.
