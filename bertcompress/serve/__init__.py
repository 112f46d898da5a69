"""The server: a front that holds connections and texts, and engines that hold the weights."""
