"""The local web page: a federation as chain and storage show it. A layer on top, like `node` and `lab`."""
