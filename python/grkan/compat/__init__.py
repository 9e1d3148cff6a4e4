"""Drop-ins for the packages that KAT and FlashKAT models import.

``grkan.compat.kat_rational`` and ``grkan.compat.rational_kat`` have their modules and functions:
the same constructors, parameter names and shapes, so checkpoints load as they are. What is
computed is what their GPU kernels compute, on every device.

In code that can be changed, change the import:

    from grkan.compat.rational_kat import KAT_Group, FlashKAT_Group

In code that can't, let them stand in for the packages, before it is imported:

    import grkan.compat
    grkan.compat.stand_in()

In a model that exists, swap its modules:

    import grkan
    grkan.patch(model)
"""

from ._patch import patch
from ._stand_in import stand_in

__all__ = ["patch", "stand_in"]
