"""A Copernicus Data Space of our own on a loopback port, with faults that tests switch on.

    from helpers.cdse_service import service

    with service() as space:
        name = space.catalogue.publish(tiny_product(tile="01CCV"), published=moment)
        space.faults.add("s3.get", faults.cut(at=1000), times=2, match="_B08.jp2")
        ...                                    # the client under test talks to space.stac, space.odata, space.s3 ...
        assert space.log.most_at_once("s3.get") <= 4

Everything is one server with threads in the test's own process, so that a test fills the catalogue and reads the log
directly, and processes that it starts talk to the same server. The parts of the real service that have hosts of their
own are paths here: `space.stac` (/v1), `space.odata` (/odata/v1, catalogue and download), `space.token_url`,
`space.s3` (endpoint; bucket eodata, path style, region default) and `space.dhus` (/dhus/).

Shapes follow the recorded answers of the real services. What no recording shows is constructed from their public
documentation; each such place says CONSTRUCTED: STAC next links, the token answer, DeletedProducts, node listings,
S3 error bodies, and all of DHuS.
"""

from helpers.cdse_service import faults
from helpers.cdse_service.catalogue import Catalogue
from helpers.cdse_service.products import folder_product, tiny_product, with_files
from helpers.cdse_service.server import Space, service

__all__ = ["Catalogue", "Space", "faults", "folder_product", "service", "tiny_product", "with_files"]
