"""What is measured. A package, as one that some dependency installs has the same name."""
