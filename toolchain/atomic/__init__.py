"""Atomic writing of files and folders, and consistent reading of folders.

A file or folder is written to a temporary name beside its target, flushed to disk and then renamed
(`file`, `folder`). A crash leaves the old content or the new one, never a mixture. A symbolic link
is kept and its target is written. `snapshot` reads a folder that other processes replace meanwhile.

======================  =======================================  =================================
step                    Linux                                    elsewhere
======================  =======================================  =================================
replace a folder        exchange of two names in one call; both  two renames; a crash between them
                        protocols where a file system lacks it   is repaired by the next read or
                                                                 write
detect a dead writer    lock on its temporary folder             the same, or a day without change
                                                                 where there are no such locks
read a folder           by descriptor, which follows a folder    the same, or by path and compared
                        that is renamed                          afterwards
======================  =======================================  =================================
"""

from toolchain.atomic.file import write_file
from toolchain.atomic.folder import write_folder
from toolchain.atomic.snapshot import read_folder

__all__ = ["read_folder", "write_file", "write_folder"]
