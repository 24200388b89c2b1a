"""The servers that Onward is compared with, each as its own documentation has it; run by the peers' Python."""
