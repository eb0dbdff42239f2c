"""What the operating system gives: folders, threads, terminals, stderr, encodings; and what each may refuse."""
