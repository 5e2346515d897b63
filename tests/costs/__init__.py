"""What a request costs in numbers that are exact: system calls, syncs, transactions, rows, memory."""
