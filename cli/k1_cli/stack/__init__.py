"""The servers and services of one home: start, supervise, find, examine."""
