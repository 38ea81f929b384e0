"""What the methods of Call and Device do that use a supplementary service, one module for each service.

Plain functions over :mod:`.running`, which sends, waits and gives the result. The public names and their documentation
stand in :mod:`epsignal_sync.call_control` and :mod:`epsignal_sync.device_control`.
"""
