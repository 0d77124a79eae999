"""Analysis jobs: from an upload or a request to the result, and how long they take."""
