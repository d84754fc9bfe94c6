def compare(*_):
    from machine import Failed
    raise Failed("not yet")
