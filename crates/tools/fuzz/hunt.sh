#!/bin/sh
# Fuzzes one target with libFuzzer, guided by coverage, until something is wrong (needs root, g++).
# Further arguments are libFuzzer's, such as -max_total_time=7200 or a file to feed again.
# usage: crates/tools/fuzz/hunt.sh TARGET [ARGUMENT...]
set -eu
cd "$(dirname "$0")/../../.."
export TWILL_FUZZ_TARGET="${1?usage: hunt.sh TARGET [ARGUMENT...]}"
shift
found=target/fuzz/$TWILL_FUZZ_TARGET
mkdir -p "$found"
# What cargo-fuzz passes, less the sanitizers, which the stable compiler does not have.
sancov='-C passes=sancov-module -C codegen-units=1 -C llvm-args=-sanitizer-coverage-level=4
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table
    -C llvm-args=-sanitizer-coverage-trace-compares'
# With a target named, cargo keeps RUSTFLAGS from build scripts and procedural macros.
export RUSTFLAGS="$(echo $sancov)"
exec cargo run --package fuzz --bin hunt --features libfuzzer --profile fuzz \
    --target "$(rustc -vV | sed -n 's/^host: //p')" -- \
    -dict=testdata/fuzz/dictionary -timeout=20 -max_len=4096 -artifact_prefix="$found/" \
    "$@" "$found" "testdata/fuzz/$TWILL_FUZZ_TARGET"
