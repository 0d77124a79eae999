"""A track's audio, fetched from the running stack, and its map drawn over it."""

import asyncio
import tempfile
from pathlib import Path

from pydantic import SecretStr

from k1_analysis.engine import EngineError
from k1_analysis.engine.output.rendering import plot_map
from k1_cli.errors import CommandError
from k1_cli.outputs import writing
from k1_contracts.genesis import GenesisMap
from k1_platform.errors import TransientError
from k1_platform.objects import ObjectMissingError, ObjectStore
from k1_platform.settings import ObjectStoreSettings


def plot_track(environment: dict[str, str], audio_key: str, genesis: GenesisMap, out: Path) -> None:
    """Draw `genesis` over the audio that the stack keeps under `audio_key`, as a PNG.

    Raises:
        CommandError: the audio cannot be fetched or decoded, or the picture not written.
    """
    store = _open_store(environment)
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / Path(audio_key).name
        try:
            asyncio.run(store.get_file(audio_key, song))
            with writing(out):
                plot_map(genesis, song, out)
        except (ObjectMissingError, TransientError, EngineError) as error:
            raise CommandError(f"cannot draw over {audio_key}: {error}") from error
        finally:
            store.close()


def fetch_audio(environment: dict[str, str], audio_key: str) -> bytes:
    """The audio that the stack keeps under `audio_key`.

    Raises:
        CommandError: it cannot be fetched.
    """
    store = _open_store(environment)
    try:
        return asyncio.run(store.get_bytes(audio_key))
    except (ObjectMissingError, TransientError) as error:
        raise CommandError(f"cannot fetch {audio_key}: {error}") from error
    finally:
        store.close()


def _open_store(environment: dict[str, str]) -> ObjectStore:
    return ObjectStore(
        ObjectStoreSettings(
            url=environment["K1_S3_URL"],
            access_key=SecretStr(environment["K1_S3_ACCESS_KEY"]),
            secret_key=SecretStr(environment["K1_S3_SECRET_KEY"]),
            bucket=environment["K1_S3_BUCKET"],
        )
    )
