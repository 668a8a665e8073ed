//! Identifiers, messages, faults and error codes.
