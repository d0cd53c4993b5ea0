"""What runs from the command line: the seed, the demo, and a vendor to practise on."""
