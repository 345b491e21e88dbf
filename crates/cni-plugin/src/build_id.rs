//! The build ID of a program: a digest of its contents, which the linker leaves in an ELF note.

use std::path::Path;

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::read;

/// The number of bytes at the start of a program that are searched. Linkers write notes right
/// behind the headers, so that the kernel finds them in a core dump.
const START: usize = 4 << 10;

/// The type of the note, and its owner (`NT_GNU_BUILD_ID`).
const BUILD_ID: u32 = 3;
const OWNER: &[u8] = b"GNU\0";

/// The program header of notes (`PT_NOTE`).
const NOTES: u32 = 4;

/// A build ID. Linkers write 8 to 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuildId(Vec<u8>);

impl BuildId {
    /// The build ID of the program in a file. `None` if the file cannot be read, is no program, or
    /// has no build ID near its start.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        // A FIFO, which somebody may have put there meanwhile, is not waited for. musl's open(2)
        // makes another system call for O_CLOEXEC.
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let file = openat(AT_FDCWD, path, flags, Mode::empty()).ok()?;
        let mut start = [0; START];
        let count = read(&file, &mut start).ok()?;
        Self::in_elf(start.get(..count)?)
    }

    /// The build ID in the start of an ELF file, of any class and byte order.
    fn in_elf(start: &[u8]) -> Option<Self> {
        let elf = Elf::new(start)?;
        (0..elf.header_count()?).find_map(|index| Self::in_notes(elf, elf.notes(index)?))
    }

    /// The build ID in a sequence of notes. Each note has the lengths of its owner and its
    /// contents, and its type, in four bytes each; owner and contents are padded to four bytes.
    fn in_notes(elf: Elf<'_>, mut notes: &[u8]) -> Option<Self> {
        loop {
            let word = |at| usize::try_from(elf.number(notes, at, 4)?).ok();
            let (owner, length, kind) = (word(0)?, word(4)?, elf.number(notes, 8, 4)?);
            let rest = notes.get(12..)?;
            let padded = owner.checked_next_multiple_of(4)?;
            let contents = rest.get(padded..)?;
            if kind == u64::from(BUILD_ID) && rest.get(..owner)? == OWNER {
                let id = contents.get(..length)?;
                return (!id.is_empty()).then(|| Self(id.to_owned()));
            }
            notes = contents.get(length.checked_next_multiple_of(4)?..)?;
        }
    }
}

/// The start of an ELF file.
#[derive(Clone, Copy)]
struct Elf<'a> {
    start: &'a [u8],
    is_64_bit: bool,
    is_big_endian: bool,
}

impl<'a> Elf<'a> {
    fn new(start: &'a [u8]) -> Option<Self> {
        let [0x7f, b'E', b'L', b'F', class, order, ..] = start else {
            return None;
        };
        Some(Self {
            start,
            is_64_bit: *class == 2,
            is_big_endian: *order == 2,
        })
    }

    /// A number of `width` bytes in the file's byte order.
    fn number(self, bytes: &[u8], at: usize, width: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(width)?)?.iter();
        let append = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.is_big_endian {
            bytes.fold(0, append)
        } else {
            bytes.rev().fold(0, append)
        })
    }

    /// A field of a header at `base`: its place and width in 64-bit files, or in 32-bit files.
    fn field(self, base: usize, wide: (usize, usize), narrow: (usize, usize)) -> Option<usize> {
        let (at, width) = if self.is_64_bit { wide } else { narrow };
        let number = self.number(self.start, base.checked_add(at)?, width)?;
        usize::try_from(number).ok()
    }

    /// The number of program headers.
    fn header_count(self) -> Option<usize> {
        self.field(0, (56, 2), (44, 2))
    }

    /// The notes of a program header; none if it is a header of something else. `None` if the
    /// header or the notes are not in the start of the file.
    fn notes(self, index: usize) -> Option<&'a [u8]> {
        let table = self.field(0, (32, 8), (28, 4))?;
        let size = self.field(0, (54, 2), (42, 2))?;
        let header = table.checked_add(index.checked_mul(size)?)?;
        if self.field(header, (0, 4), (0, 4))? != usize::try_from(NOTES).ok()? {
            return Some(&[]);
        }
        let offset = self.field(header, (8, 8), (4, 4))?;
        let length = self.field(header, (32, 8), (16, 4))?;
        self.start.get(offset..offset.checked_add(length)?)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    const ID: [u8; 20] = *b"a build ID of 20 b..";

    /// A note with a padded owner and contents.
    fn note(number: impl Fn(u32) -> [u8; 4], owner: &[u8], kind: u32, contents: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for word in [owner.len() as u32, contents.len() as u32, kind] {
            note.extend(number(word));
        }
        for part in [owner, contents] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    /// A program with a header of another kind, and one of notes: another's, and the build ID.
    fn program(is_64_bit: bool, is_big_endian: bool) -> Vec<u8> {
        let order = |mut bytes: Vec<u8>| {
            if is_big_endian {
                bytes.reverse();
            }
            bytes
        };
        let half = |number: u16| order(number.to_le_bytes().to_vec());
        let word = |number: u32| order(number.to_le_bytes().to_vec());
        let address = |number: u64| match is_64_bit {
            true => order(number.to_le_bytes().to_vec()),
            false => word(number as u32),
        };
        let (header, entry) = if is_64_bit {
            (64_u16, 56_u16)
        } else {
            (52, 32)
        };
        let plain = |number: u32| word(number).try_into().unwrap();
        let notes = [
            note(plain, b"stapsdt\0", 3, b"12345"),
            note(plain, OWNER, BUILD_ID, &ID),
        ]
        .concat();
        let at = u64::from(header + 2 * entry);

        let mut file = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(is_64_bit)];
        file.push(1 + u8::from(is_big_endian));
        file.resize(16, 0);
        file.extend([half(2), half(62), word(1), address(0)].concat());
        file.extend([address(u64::from(header)), address(0), word(0)].concat());
        for number in [header, entry, 2, 0, 0, 0] {
            file.extend(half(number));
        }
        for (kind, offset, length) in [(1, 0, 9999), (NOTES, at, notes.len() as u64)] {
            let [offset, zero, length] = [offset, 0, length].map(address);
            file.extend(match is_64_bit {
                true => [word(kind), word(4), offset, zero.clone(), zero].concat(),
                false => [word(kind), offset, zero.clone(), zero].concat(),
            });
            file.extend([length.clone(), length].concat());
            file.extend(match is_64_bit {
                true => address(4),
                false => [word(4), word(4)].concat(),
            });
        }
        [file, notes].concat()
    }

    #[test]
    fn the_id_is_found_in_programs_of_any_class_and_byte_order() {
        for is_64_bit in [true, false] {
            for is_big_endian in [true, false] {
                let program = program(is_64_bit, is_big_endian);
                assert_eq!(BuildId::in_elf(&program), Some(BuildId(ID.to_vec())));
                for length in 0..program.len() {
                    assert_eq!(BuildId::in_elf(&program[..length]), None, "{length}");
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_no_program_has_no_id() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bridge");
        assert_eq!(BuildId::of_file(&file), None);
        fs::write(&file, "#!/bin/sh\n").unwrap();
        assert_eq!(BuildId::of_file(&file), None);
        fs::write(&file, program(true, false)).unwrap();
        assert_eq!(BuildId::of_file(&file), Some(BuildId(ID.to_vec())));
        fs::remove_file(&file).unwrap();
        let name = CString::new(file.to_str().unwrap()).unwrap();
        nix::unistd::mkfifo(name.as_c_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(BuildId::of_file(&file), None);
    }

    proptest! {
        /// No byte of a file is trusted.
        #[test]
        fn any_damage_is_survived(
            wide: bool,
            big: bool,
            damage in prop::collection::vec((0_usize..300, any::<u8>()), 0..8),
        ) {
            let mut program = program(wide, big);
            for (at, byte) in damage {
                if let Some(place) = program.get_mut(at) {
                    *place = byte;
                }
            }
            let _ = BuildId::in_elf(&program);
        }

        #[test]
        fn any_bytes_are_survived(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            class in 0_u8..3,
            order in 0_u8..3,
        ) {
            let start = [&[0x7f, b'E', b'L', b'F', class, order][..], &bytes].concat();
            let _ = BuildId::in_elf(&start);
        }
    }
}
