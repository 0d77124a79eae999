"""Fetches the audio of a track from the running stack, and draws its map over the waveform."""

import asyncio
import tempfile
from pathlib import Path

from pydantic import SecretStr

from k1_analysis.engine import EngineError
from k1_analysis.engine.output.rendering import plot_map
from k1_cli.errors import CommandError
from k1_cli.output.files import report_written
from k1_contracts.genesis import GenesisMap
from k1_platform.errors import TransientError
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.objects import ObjectNotFoundError, ObjectStore


def plot_track(environment: dict[str, str], audio_key: str, genesis: GenesisMap, out: Path) -> None:
    """Draw `genesis` over the audio that is stored under `audio_key`, and write it as a PNG file.

    Raises:
        CommandError: the audio cannot be fetched or decoded, or the picture cannot be written.
    """
    store = _open_store(environment)
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / Path(audio_key).name
        try:
            asyncio.run(store.get_file(audio_key, song))
            with report_written(out):
                plot_map(genesis, song, out)
        except (ObjectNotFoundError, TransientError, EngineError) as error:
            raise CommandError(f"cannot draw over {audio_key}: {error}") from error
        finally:
            store.close()


def fetch_audio(environment: dict[str, str], audio_key: str) -> bytes:
    """Return the audio that is stored under `audio_key`.

    Raises:
        CommandError: the audio cannot be fetched.
    """
    store = _open_store(environment)
    try:
        return asyncio.run(store.get_bytes(audio_key))
    except (ObjectNotFoundError, TransientError) as error:
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
