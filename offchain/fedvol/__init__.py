"""FedVol: options desks train one volatility model together; a chain orders, judges and serves it."""

__version__ = "0.1.0"
