"""What goes wrong in a fine-tune, with the exit status that says so to a shell."""

from __future__ import annotations

from ftadvise.errors import FtadviseError

EXIT_CODES = {
    "FT501": 2,
    "FT502": 2,
    "FT503": 2,
    "FT504": 3,
    "FT505": 3,
    "FT506": 2,
    "FT507": 5,
    "FT508": 4,
    "FT509": 2,
    "FT510": 3,
}


class TrainError(FtadviseError):
    """A fine-tune that cannot start, or must not go on.

    Codes: FT501 a mistake in the settings, or a model that cannot be loaded, FT502 data that cannot
    be used, FT503 no token to train on, FT504 no room on the disk, or a disk that cannot be written,
    FT505 no valid checkpoint to go on from, FT506 settings changed since the checkpoint, FT507 a
    folder that another run writes into, FT508 a loss or gradient that is not finite, FT509 a package
    that is not installed, FT510 a final model that does not give the recorded loss.
    """

    default_code = "FT501"

    @property
    def exit_code(self) -> int:
        """Exit status of the process: 2 settings or data, 3 disk, 4 non-finite, 5 locked."""
        return EXIT_CODES.get(self.code, 2)
