"""Network functions: what senses traffic, finds attacks, acts on the network, and takes back what it did."""
