"""Finding and being found on a network without typing addresses (mDNS): the extra `discover`."""
