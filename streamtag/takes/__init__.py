"""What a session sent, kept in a file, and sent again in its time: shows are programmed without the music."""
