"""openSMILE: low-level descriptors and functionals."""
