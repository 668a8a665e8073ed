//! REST and SOAP messages.
