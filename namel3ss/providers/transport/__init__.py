"""What every provider that speaks HTTP stands on: connections, limits on waiting, answers in pieces, failures by kind.

Nothing here knows a provider: each derives a client from `client.HttpClient` and says failures in its own words.
httpx and aiohttp are imported by `library` and `failures` alone, which load at the first request, or when
`client.import_libraries` is called.
"""
