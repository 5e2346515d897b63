"""Where buckets, objects and uploads are kept: the contract, and the engines that fulfil it."""
