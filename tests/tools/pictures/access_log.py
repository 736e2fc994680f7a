#!/usr/bin/env python3
"""Prints a made-up access log of a shop in Envoy's default text format, the same each time."""

import random
import uuid

REQUESTS = [
    # method, path, weight; {n} is a number, {u} a UUID, {h} a hash
    ("GET", "/api/v1/products/{n}", 40), ("GET", "/api/v1/products", 14), ("POST", "/api/v1/cart/items", 10),
    ("GET", "/api/v1/cart", 8), ("GET", "/api/v1/users/{u}/orders", 7), ("GET", "/api/v1/orders/{u}", 6),
    ("POST", "/api/v1/orders", 5), ("POST", "/login", 4), ("GET", "/healthz", 9), ("GET", "/static/app.{h}.js", 6),
    ("GET", "/wp-login.php", 2), ("GET", "/.env", 1),
]

random = random.Random(7)
milliseconds = 9 * 3_600_000
for number in range(3000):
    method, path, _ = random.choices(REQUESTS, [weight for _, _, weight in REQUESTS])[0]
    path = path.format(n=random.randint(1000, 1400), u=uuid.UUID(int=random.getrandbits(128), version=4),
                       h=f"{random.getrandbits(32):08x}")
    scanned = path in ("/wp-login.php", "/.env")
    written = 5 if method == "POST" else 0
    status = 404 if scanned else random.choices([200, 201, 400, 503], [93, written, 2, 1])[0]
    duration = int(random.lognormvariate(2.6 if "products" in path else 3.3, 0.7))
    milliseconds += random.randint(1, 400)
    seconds, rest = divmod(milliseconds, 1000)
    at = f"2026-01-02T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}Z"
    flags, received = "UF" if status == 503 else "-", random.randint(20, 600) if method == "POST" else 0
    print(f'[{at}] "{method} {path} HTTP/1.1" {status} {flags} {received} {random.randint(80, 9000)} {duration} '
          f'{max(duration - 1, 0)} "-" "curl/8" "{number:08x}" "shop.example" "10.0.0.2:8080"')
