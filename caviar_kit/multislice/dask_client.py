"""The client of a Dask cluster: whether it can be used, and which workers there are."""

from __future__ import annotations

from typing import Any

__all__ = ["check_client", "running_workers", "wait_for_workers"]

_AT_LEAST = 1e-3  # seconds; Dask takes 0 for "forever"


def check_client(client: Any) -> None:
    """Refuse what is not a running, synchronous Dask client.

    Raises
    ------
    TypeError, ValueError
        If it is something else, asynchronous or closed.
    """
    from distributed import Client

    if not isinstance(client, Client):
        raise TypeError(f"client must be a distributed.Client, got {type(client).__name__}")
    if client.asynchronous:
        raise ValueError("client must be synchronous, got one with asynchronous=True")
    if client.status != "running":
        raise ValueError(f"client must be connected to a scheduler, got one that is {client.status}")


def running_workers(client: Any) -> list[str]:
    """Addresses of the workers that take on work: neither paused for lack of memory nor closing."""
    known = client.scheduler_info(n_workers=-1)["workers"]
    return sorted(address for address, worker in known.items() if worker["status"] == "running")


def wait_for_workers(client: Any, timeout: float) -> list[str]:
    """Addresses of the running workers, at least one.

    Parameters
    ----------
    client : distributed.Client
    timeout : float
        How long to wait for the first [s].

    Raises
    ------
    RuntimeError
        If none comes, or there is no connection to the scheduler.
    """
    if client.status != "running":
        raise RuntimeError(f"the Dask client is {client.status}: it has no connection to its scheduler")
    if not running_workers(client):
        try:
            client.wait_for_workers(1, timeout=max(timeout, _AT_LEAST))
        except TimeoutError:
            raise RuntimeError(_nobody(client, timeout)) from None
    return running_workers(client)


def _nobody(client: Any, timeout: float) -> str:
    known = client.scheduler_info(n_workers=-1)["workers"]
    if not known:
        return (
            f"the Dask cluster has had no worker for {timeout:g} s: scale it up, or see why its workers "
            "do not start"
        )
    states = ", ".join(sorted({worker["status"] for worker in known.values()}))
    return (
        f"none of the {len(known)} Dask workers has been running for {timeout:g} s (they are {states}): Dask "
        "pauses a worker that is short of memory; give each more of it, or take more workers"
    )
