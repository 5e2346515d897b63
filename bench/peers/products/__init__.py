"""The products, a module each."""

from __future__ import annotations

from bench.peers.product import Product
from bench.peers.products import (
    anys3,
    garage,
    juicefs,
    minio,
    moto,
    radosgw,
    rclone,
    s3rver,
    seaweedfs,
    swift,
    versitygw,
)

PRODUCTS: dict[str, Product] = {
    module.PRODUCT.name: module.PRODUCT
    for module in (anys3, moto, seaweedfs, swift, s3rver, minio, radosgw, garage, versitygw, rclone, juicefs)
}
