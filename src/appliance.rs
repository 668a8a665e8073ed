//! Builds both planes from the configuration and runs them until told to stop.
