//! Local clients, services and access rights, as the data plane reads them.
