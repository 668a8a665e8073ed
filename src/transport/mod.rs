//! The multipart transport message between security servers.
