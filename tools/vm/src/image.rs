// SPDX-License-Identifier: GPL-2.0-only
//! The lock-step image: the stock kernel with every PAUSE made a two-byte NOP.
//!
//! Under QEMU's instruction counting all virtual CPUs take turns on one host thread, and a turn ends
//! early at HLT and at PAUSE: an idle or spinning CPU would give its share of the instructions to the
//! busy ones, so that N CPUs are no faster than one. With `idle=poll` no CPU halts, and without PAUSE
//! none ends its turn: each of N CPUs uses up exactly 1/N of the simulated instructions.

use anyhow::{bail, ensure, Context, Result};
use iced_x86::{Code, Decoder, DecoderOptions, Instruction};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const PAUSE: [u8; 2] = [0xf3, 0x90];
const NOP2: [u8; 2] = [0x66, 0x90];
/// Sections that hold the kernel's code.
const CODE: [&str; 2] = [".text", ".init.text"];

/// The ELF kernel inside a bzImage (x86 boot protocol 2.08 or later, zstd payload).
pub(crate) fn extract_vmlinux(bzimage: &[u8]) -> Result<Vec<u8>> {
    let byte = |at: usize| bzimage.get(at).copied().map(usize::from);
    let word = |at: usize| -> Option<usize> {
        let bytes = bzimage.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    ensure!(bzimage.get(0x202..0x206) == Some(b"HdrS"), "not an x86 kernel image");
    let (sectors, offset, length) = match (byte(0x1f1), word(0x248), word(0x24c)) {
        (Some(s), Some(o), Some(l)) => (if s == 0 { 4 } else { s }, o, l),
        _ => bail!("the kernel image is cut short"),
    };
    let start = (sectors + 1) * 512 + offset;
    let payload = bzimage.get(start..start + length).context("the kernel image is cut short")?;
    ensure!(
        payload.starts_with(&ZSTD_MAGIC),
        "the kernel is not compressed with zstd (CONFIG_KERNEL_ZSTD): choose another with --kernel"
    );
    let mut decoder = zstd::Decoder::new(payload)?.single_frame(); // four bytes of size follow it
    decoder.window_log_max(31)?;
    let mut elf = Vec::new();
    std::io::copy(&mut decoder, &mut elf).context("cannot decompress the kernel")?;
    ensure!(elf.starts_with(b"\x7fELF"), "the compressed kernel is not an ELF file");
    Ok(elf)
}

/// Replaces every PAUSE in the code sections of an ELF kernel. Returns how many there were.
pub(crate) fn patch_kernel(elf: &mut [u8]) -> Result<usize> {
    let mut ranges = Vec::new();
    let file: ElfFile64 = ElfFile64::parse(&*elf).context("cannot read the kernel's ELF headers")?;
    for name in CODE {
        let section =
            file.section_by_name(name).with_context(|| format!("the kernel has no section {name}"))?;
        let (start, length) =
            section.file_range().with_context(|| format!("section {name} is not in the file"))?;
        ranges.push((section.address(), start as usize..(start + length) as usize));
    }
    let mut count = 0;
    for (address, range) in ranges {
        count += patch_code(elf.get_mut(range).context("the kernel file is cut short")?, address);
    }
    ensure!(count > 0, "no PAUSE found in the kernel's code");
    Ok(count)
}

/// Replaces every PAUSE in a run of 64-bit code that begins at `address`. The bytes F3 90 inside
/// another instruction are left alone.
fn patch_code(code: &mut [u8], address: u64) -> usize {
    let mut found = Vec::new();
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        let at = decoder.position();
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            // Step over one byte, as a disassembler does, to get back in step.
            if decoder.set_position(at + 1).is_err() {
                break;
            }
            decoder.set_ip(address + at as u64 + 1);
        } else if instruction.code() == Code::Pause && code[at..].starts_with(&PAUSE) {
            found.push(at);
        }
    }
    for &at in &found {
        code[at..at + 2].copy_from_slice(&NOP2);
    }
    found.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_instructions_are_patched() {
        let mut code = vec![
            0xf3, 0x90, // pause
            0xb8, 0xf3, 0x90, 0xf3, 0x90, // mov eax, 0x90f390f3
            0xf3, 0x0f, 0x1e, 0xfa, // endbr64
            0x06, // not an instruction in 64-bit mode
            0xf3, 0x90, // pause
            0x66, 0x90, // nop
            0x90, // nop
            0xc3, // ret
        ];
        let mut want = code.clone();
        want[0] = 0x66;
        want[12] = 0x66;
        assert_eq!(patch_code(&mut code, 0xffff_ffff_8100_0000), 2);
        assert_eq!(code, want);
        assert_eq!(patch_code(&mut code, 0xffff_ffff_8100_0000), 0);
    }

    #[test]
    fn a_short_image_is_an_error() {
        assert!(extract_vmlinux(b"MZ").is_err());
        let mut image = vec![0; 0x206];
        image[0x202..].copy_from_slice(b"HdrS");
        assert!(extract_vmlinux(&image).is_err());
    }
}
