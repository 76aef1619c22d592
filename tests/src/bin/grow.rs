// SPDX-License-Identifier: GPL-2.0-only
//! `grow MB THEN RESULT [FILE MB RESULT]...`: takes so much memory, and writes how long that took, in ms, to
//! the file RESULT; once more whenever the next FILE is there. Then `exit`, or for ever
//! `sleep`, `work`, a little now and then, or `creep`: 2 MB more every second.

use std::path::Path;
use std::time::{Duration, Instant};

const PAGE: usize = 4096;

/// Writes every page of `mb` more.
fn grow(mb: usize, result: &str, held: &mut Vec<Vec<u8>>) {
    let began = Instant::now();
    let mut memory = vec![0; mb << 20];
    memory.iter_mut().step_by(PAGE).enumerate().for_each(|(i, byte)| *byte = i as u8 | 1);
    held.push(memory);
    std::fs::write(result, format!("{}\n", began.elapsed().as_millis())).expect("to write the result");
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mb, then, result, more @ ..] = &args[..] else {
        panic!("usage: grow MB exit|sleep|work|creep RESULT [FILE MB RESULT]...")
    };
    let number = |mb: &str| mb.parse().expect("a number of MB");
    let mut held = Vec::new();
    grow(number(mb), result, &mut held);
    for again in more.chunks_exact(3) {
        while !Path::new(&again[0]).exists() {
            std::thread::sleep(Duration::from_millis(50));
        }
        grow(number(&again[1]), &again[2], &mut held);
    }
    match then.as_str() {
        "exit" => (),
        "work" => loop {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(5) {
                std::hint::black_box(&held);
            }
            std::thread::sleep(Duration::from_millis(15));
        },
        "creep" => loop {
            grow(1, result, &mut held);
            std::thread::sleep(Duration::from_millis(500));
        },
        _ => loop {
            std::thread::sleep(Duration::from_secs(60));
        },
    }
}
