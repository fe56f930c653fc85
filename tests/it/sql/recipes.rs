//! What people ask, as the README writes it, and other tools on the file.
